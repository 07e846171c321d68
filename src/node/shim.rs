//! What the line does not offer yet.

use crate::config::Config;
use crate::people::PersonEvent;
use crate::pipeline::Pipeline;
use crate::time::Stamp;
use crate::wire::messages::PersonRecord;

pub(super) type EnrolTicket = u64;

pub(super) trait Pending {
    fn reset(&mut self);
    fn reconfigure(&mut self, config: &Config);
    fn settle(&mut self, now: Stamp) -> Vec<(EnrolTicket, ())>;
    fn take_events(&mut self) -> Vec<PersonEvent>;
    fn revision(&self) -> u64;
    fn list(&self) -> Vec<PersonRecord>;
    fn gallery_place(&self) -> String;
    fn warm_up(&mut self) -> anyhow::Result<()>;
}

impl Pending for Pipeline {
    fn reset(&mut self) {}
    fn reconfigure(&mut self, _: &Config) {}
    fn settle(&mut self, _: Stamp) -> Vec<(EnrolTicket, ())> {
        Vec::new()
    }
    fn take_events(&mut self) -> Vec<PersonEvent> {
        Vec::new()
    }
    fn revision(&self) -> u64 {
        0
    }
    fn list(&self) -> Vec<PersonRecord> {
        Vec::new()
    }
    fn gallery_place(&self) -> String {
        "memory".into()
    }
    fn warm_up(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
