//! What the line does not offer yet.

use crate::config::Config;
use crate::pipeline::Pipeline;

pub(super) trait Pending {
    fn reset(&mut self);
    fn reconfigure(&mut self, config: &Config);
    fn gallery_place(&self) -> String;
}

impl Pending for Pipeline {
    fn reset(&mut self) {}
    fn reconfigure(&mut self, _: &Config) {}
    fn gallery_place(&self) -> String {
        "memory".into()
    }
}
