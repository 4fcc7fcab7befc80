//! Where polling begins: at `start-from`, or where it stopped before a restart.
//!
//! A remembered position is taken at its word as far as that misses nothing, and what may be
//! missing all the same is said: polling cannot find what Keycloak has expired meanwhile.

use kete_config::rfc3339;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Poller, Stamp};
use crate::admin_api::bookmark::Remembered;
use crate::admin_api::clock::ServerClock;
use crate::admin_api::cursor::{Cursor, Request};
use crate::admin_api::failures::PollError;
use crate::admin_api::settings::Settings;
use crate::admin_api::start_from::StartFrom;

/// Keycloak expires no event sooner: then its store is asked whether it still has all there was.
const MAY_BE_EXPIRED: i64 = 15 * 60 * 1_000;

/// A position may be ahead of the server by so much: its answers tell whole seconds.
const CLOCK_SLACK: i64 = 5_000;

impl Poller {
    /// Finds out where to begin.
    pub(super) async fn connect(&mut self) -> Result<(ServerClock, Cursor), PollError> {
        let clock = self.api.server_time().await?;
        let now = clock.at(Instant::now());
        let remembered = self.bookmark.remembered().cloned();
        if let Some(remembered) = &remembered {
            self.look_for_gap(remembered.position, now).await?;
        }
        let (realm, events) = (&**self.api.realm(), self.api.kind().name());
        info!(realm, events, "connected to Keycloak");
        let cursor = match remembered {
            Some(remembered) => self.resumed(&remembered, now),
            None => self.first_position(now),
        };
        Ok((clock, cursor))
    }

    /// Where polling begins for the first time.
    fn first_position(&mut self, now: i64) -> Cursor {
        let Settings {
            overlap,
            page_size,
            start_from,
            ..
        } = *self.settings;
        let cursor = match start_from {
            StartFrom::Now => return Cursor::new(now, overlap, page_size),
            StartFrom::Earliest => Cursor::new(0, overlap, page_size),
            StartFrom::At(time) => Cursor::new(time, overlap, page_size).not_before(time),
        };
        self.bookmark.begins_at(cursor.position());
        cursor
    }

    /// Where polling goes on. After a jump of the server's clock that is not in the future, for
    /// what happens until then must not be passed over.
    fn resumed(&self, remembered: &Remembered, now: i64) -> Cursor {
        let (realm, events) = (&**self.api.realm(), self.api.kind().name());
        let position = remembered.position.min(now);
        let text = rfc3339(position);
        info!(
            realm,
            events,
            position = text,
            "polling goes on where it stopped; start-from counts for a source that is new"
        );
        if remembered.position > now.saturating_add(CLOCK_SLACK) {
            let ahead = rfc3339(remembered.position);
            warn!(
                realm,
                events,
                position = ahead,
                "the remembered position is in the future, so Keycloak's clock was set back; \
                 polling goes on now, and some events may come again"
            );
        }
        let (server, before) = (self.bookmark.server(), &*remembered.server);
        if server != before {
            warn!(
                realm,
                events,
                server,
                before,
                "kete.keycloak.url was another when the position was saved; if this is another \
                 Keycloak, its events since then are read"
            );
        }
        let cursor = Cursor::new(position, self.settings.overlap, self.settings.page_size);
        let floor = remembered.not_before.unwrap_or(i64::MIN);
        cursor.not_before(floor).without(&remembered.seen)
    }

    /// Says so if Keycloak may have expired events that were not read. As long as it still has one
    /// from before the position, it has expired none after it.
    async fn look_for_gap(&self, position: i64, now: i64) -> Result<(), PollError> {
        if now.saturating_sub(position) < MAY_BE_EXPIRED {
            return Ok(());
        }
        let oldest = match self.api.page(Request::OLDEST).await {
            Err(PollError::TooLarge { .. }) => return Ok(()),
            answer => stamp_of_first(&answer?.body)?,
        };
        let (realm, events) = (&**self.api.realm(), self.api.kind().name());
        let at = rfc3339(position);
        match oldest {
            Some(oldest) if oldest <= position => {}
            Some(oldest) => {
                let oldest = rfc3339(oldest);
                warn!(
                    realm,
                    events,
                    position = at,
                    oldest,
                    "Keycloak has no event from before the position; if it has expired events \
                     since then, those until the oldest one are lost to kete"
                );
            }
            None => warn!(
                realm,
                events,
                position = at,
                "Keycloak has no events; if it has expired events that happened after the \
                 position, those are lost to kete"
            ),
        }
        Ok(())
    }
}

/// The stamp of the first row of an answer.
fn stamp_of_first(body: &[u8]) -> Result<Option<i64>, PollError> {
    let stamps: Vec<Stamp<'_>> = serde_json::from_slice(body).map_err(PollError::Malformed)?;
    Ok(stamps.first().map(|stamp| stamp.time.unwrap_or(0)))
}
