//! One thread that waits for everything a participant may receive.

use crate::runtime;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future::{AbortHandle, BoxFuture, abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use std::future::Future;
use std::io;

/// Gives the thread more to wait for.
#[derive(Clone)]
pub(super) struct Tasks(UnboundedSender<BoxFuture<'static, ()>>);

/// Ends a task when it is dropped.
pub(super) struct Running(AbortHandle);

impl crate::node::transport::Connection for Running {}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    /// Starts the thread; it ends when all [`Tasks`] are gone.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, mut receiver) = unbounded::<BoxFuture<'static, ()>>();
        runtime::spawn("dds", move || {
            futures::executor::block_on(async move {
                let mut running = FuturesUnordered::new();
                loop {
                    futures::select! {
                        task = receiver.next() => match task {
                            Some(task) => running.push(task),
                            None => break,
                        },
                        () = running.select_next_some() => {}
                    }
                }
            });
        })?;
        Ok(Self(sender))
    }

    /// Runs `task` to its end.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The thread only ends when nobody can send.
        let _ = self.0.unbounded_send(task.boxed());
    }

    /// Runs `task` until what is returned is dropped.
    pub(super) fn spawn_until_dropped(&self, task: impl Future<Output = ()> + Send + 'static) -> Running {
        let (task, handle) = abortable(task);
        self.spawn(task.map(drop));
        Running(handle)
    }
}
