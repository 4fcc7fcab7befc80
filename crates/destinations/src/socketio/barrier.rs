//! Which question the server of a route answers: asked once, remembered for all its connections.
//!
//! A route that relies on barriers gets no connection before the server has answered one. Which
//! servers answer what was measured: nearly all answer a WebSocket ping; netty-socketio and some
//! proxies do not, but refuse an unknown namespace in order with the events. The Engine.IO ping is
//! never tried unasked, because other servers close the connection over it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kete_socketio::{BarrierKind, CloseReason, Notification, Receiver, Sender};
use tokio::time::timeout;

use super::settings::BarrierChoice;

/// How long a server may take to answer a barrier with nothing before it.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The first number that [`BarrierMemory::ask`] leaves unused on a connection.
pub(crate) const FIRST_FREE_NUMBER: u64 = 3;

/// What one route knows about the barriers of its server.
#[derive(Debug)]
pub(crate) struct BarrierMemory {
    choice: BarrierChoice,
    known: Mutex<Option<BarrierKind>>,
}

/// Why no barrier can be relied on.
#[derive(Debug)]
pub(crate) enum NoBarrier {
    /// None of these was answered in time.
    Silence(Vec<BarrierKind>),
    /// The connection ended over one of these, or meanwhile.
    Closed(Vec<BarrierKind>, CloseReason),
}

impl BarrierMemory {
    pub(crate) fn new(choice: BarrierChoice) -> BarrierMemory {
        BarrierMemory {
            choice,
            known: Mutex::new(None),
        }
    }

    /// What is known to be answered, else what is worth trying, best first.
    pub(crate) fn candidates(&self) -> Vec<BarrierKind> {
        match (*self.lock(), self.choice) {
            (Some(known), _) => vec![known],
            (None, BarrierChoice::Auto) => vec![BarrierKind::Ping, BarrierKind::Namespace],
            (None, BarrierChoice::Ping) => vec![BarrierKind::Ping],
            (None, BarrierChoice::Namespace) => vec![BarrierKind::Namespace],
            (None, BarrierChoice::EnginePing) => vec![BarrierKind::EnginePing],
        }
    }

    pub(crate) fn learn(&self, kind: BarrierKind) {
        *self.lock() = Some(kind);
    }

    /// A connection had to be given up while it owed an answer: the next one asks again.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// What the server of this new connection answers, without asking if that is known.
    ///
    /// # Errors
    /// [`NoBarrier`]; the connection is of no use then.
    pub(crate) async fn ask(
        &self,
        sender: &Sender,
        receiver: &mut Receiver,
    ) -> Result<BarrierKind, NoBarrier> {
        if let Some(known) = *self.lock() {
            return Ok(known);
        }
        let candidates = self.candidates();
        for (number, kind) in (1..).zip(&candidates) {
            // A connection that has ended says so to the receiver.
            let _ended = sender.barrier(*kind, number);
            match timeout(ANSWER_WITHIN, answer(number, receiver)).await {
                Ok(Ok(())) => {
                    self.learn(*kind);
                    return Ok(*kind);
                }
                Ok(Err(reason)) => return Err(NoBarrier::Closed(candidates, reason)),
                Err(_) => {}
            }
        }
        Err(NoBarrier::Silence(candidates))
    }

    fn lock(&self) -> MutexGuard<'_, Option<BarrierKind>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(number: u64, receiver: &mut Receiver) -> Result<(), CloseReason> {
    loop {
        match receiver.next().await {
            Some(Notification::Barrier(answered)) if answered == number => return Ok(()),
            Some(Notification::Closed(reason)) => return Err(reason),
            Some(_) => {}
            None => return Err(CloseReason::Aborted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_tries_what_every_server_bears_and_nothing_else() {
        let memory = BarrierMemory::new(BarrierChoice::Auto);
        assert_eq!(
            memory.candidates(),
            [BarrierKind::Ping, BarrierKind::Namespace]
        );
        assert!(memory.candidates().len() < FIRST_FREE_NUMBER as usize);
    }

    #[test]
    fn what_was_answered_is_remembered_until_it_is_not_answered_any_more() {
        let memory = BarrierMemory::new(BarrierChoice::Auto);
        memory.learn(BarrierKind::Namespace);
        assert_eq!(memory.candidates(), [BarrierKind::Namespace]);
        memory.forget();
        assert_eq!(memory.candidates().len(), 2);
    }

    #[test]
    fn a_choice_is_the_only_candidate() {
        for (choice, kind) in [
            (BarrierChoice::Ping, BarrierKind::Ping),
            (BarrierChoice::Namespace, BarrierKind::Namespace),
            (BarrierChoice::EnginePing, BarrierKind::EnginePing),
        ] {
            assert_eq!(BarrierMemory::new(choice).candidates(), [kind]);
        }
    }
}
