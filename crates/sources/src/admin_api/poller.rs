//! Polls the events of one kind of one realm, for ever.
//!
//! One sweep reads everything from the beginning of the window to the newest event, page by page,
//! and hands each page to intake before it asks for the next: while intake has no room, nothing
//! is polled. Between sweeps it rests. A sweep that fails is begun again from the read position.
//!
//! With a durable queue polling goes on after a restart where it stopped; `start-from` counts only
//! where nothing is remembered.

mod beginning;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use kete_config::rfc3339;
use kete_event::{Event, Fields, Outcome};
use kete_pipeline::{Intake, IntakeError, Receipt, Stop};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::bookmark::Bookmark;
use super::client::{AdminApi, Answer};
use super::clock::ServerClock;
use super::cursor::{Cursor, Request, Row, Ticket};
use super::failures::{Failures, PollError};
use super::settings::Settings;
use crate::complaints::Complaints;

/// The event that a service account's own login makes.
const OWN_LOGIN: &str = "CLIENT_LOGIN";

/// The longest id in bytes that is remembered. Keycloak's have 36.
const LONGEST_ID: usize = 256;

/// What a row is told apart by.
#[derive(Deserialize)]
struct Stamp<'r> {
    #[serde(borrow)]
    id: Option<Cow<'r, str>>,
    time: Option<i64>,
}

/// Polls one kind of event of one realm.
pub(super) struct Poller {
    api: AdminApi,
    settings: Arc<Settings>,
    intake: Intake,
    bookmark: Bookmark,
    /// What the clock of the server showed last, and where polling stands; both from the first
    /// answer on.
    state: Option<(ServerClock, Cursor)>,
    receipts: Vec<(Ticket, Receipt)>,
    failures: Failures,
    complaints: Complaints,
}

/// Why a sweep ended early.
enum Interrupted {
    Failed(PollError),
    Stopping,
}

impl From<PollError> for Interrupted {
    fn from(error: PollError) -> Interrupted {
        Interrupted::Failed(error)
    }
}

impl Poller {
    pub(super) fn new(
        api: AdminApi,
        settings: Arc<Settings>,
        intake: Intake,
        bookmark: Bookmark,
    ) -> Poller {
        let failures = Failures::new(settings.poll_interval);
        Poller {
            api,
            settings,
            intake,
            bookmark,
            state: None,
            receipts: Vec::new(),
            failures,
            complaints: Complaints::new(Instant::now()),
        }
    }

    /// Polls until kete stops, and stays to see what was handed over become safe.
    pub(super) async fn run(mut self, stop: Stop) {
        tokio::select! {
            () = stop.requested() => {}
            () = self.poll() => {}
        }
        stop.ended().await;
        self.settle();
        let (realm, events) = (&**self.api.realm(), self.api.kind().name());
        match &self.state {
            None => {}
            Some((_, cursor)) if self.bookmark.is_durable() => {
                let position = rfc3339(cursor.position());
                info!(realm, events, position, "polling ended, and goes on there");
            }
            Some((_, cursor)) => {
                let start_from = cursor.start_from();
                info!(
                    realm,
                    events,
                    start_from,
                    "polling ended; the lowest start_from of this source's pollers, set as \
                     start-from, misses nothing, and some events come again"
                );
            }
        }
    }

    /// Returns when kete is stopping.
    async fn poll(&mut self) {
        loop {
            let wait = match self.sweep().await {
                Ok(()) => {
                    self.failures
                        .recovered(self.api.realm(), self.api.kind().name());
                    self.settings.poll_interval
                }
                Err(Interrupted::Failed(error)) => self.failed(&error),
                Err(Interrupted::Stopping) => return,
            };
            sleep(wait).await;
        }
    }

    fn failed(&mut self, error: &PollError) -> Duration {
        self.failures
            .failed(error, self.api.realm(), self.api.kind().name())
    }

    async fn sweep(&mut self) -> Result<(), Interrupted> {
        let mut request = Some(self.begin().await?);
        while let Some(asked) = request {
            let Answer { body, clock } = match self.api.page(asked).await {
                Err(PollError::TooLarge { limit }) => {
                    request = Some(self.fewer(asked, limit)?);
                    continue;
                }
                answer => answer?,
            };
            request = self.take_page(&body).await?;
            self.settle();
            if let Some((known, _)) = &mut self.state {
                *known = clock;
            }
        }
        self.save().await
    }

    /// Saves what has changed and went with no page.
    async fn save(&mut self) -> Result<(), Interrupted> {
        let Some((_, cursor)) = &self.state else {
            return Ok(());
        };
        for batch in self.bookmark.due(&self.intake, cursor) {
            match self.intake.submit(batch).await {
                Ok(_receipt) => {}
                Err(IntakeError::Stopping) => return Err(Interrupted::Stopping),
                Err(error) => {
                    let (realm, events) = (&**self.api.realm(), self.api.kind().name());
                    warn!(realm, events, %error, "the position could not be saved");
                }
            }
        }
        Ok(())
    }

    /// What to ask when the answer was too large.
    fn fewer(&mut self, asked: Request, limit: usize) -> Result<Request, PollError> {
        let fewer = self.state.as_mut().and_then(|(_, cursor)| cursor.fewer());
        let (realm, events) = (&**self.api.realm(), self.api.kind().name());
        match fewer {
            Some(fewer) => {
                debug!(
                    realm,
                    events,
                    max = fewer.max,
                    "an answer is too large, fewer are asked for"
                );
                Ok(fewer)
            }
            None => Err(PollError::EventTooLarge {
                limit,
                time: asked.date_from,
                first: asked.first,
            }),
        }
    }

    /// The first request of a sweep.
    async fn begin(&mut self) -> Result<Request, Interrupted> {
        if self.state.is_none() {
            self.state = Some(self.connect().await?);
            // From `now` on nothing may be missed, even if kete ends before anything happens.
            self.save().await?;
        }
        let Some((clock, cursor)) = &mut self.state else {
            return Err(Interrupted::Stopping);
        };
        Ok(cursor.begin(clock.at(Instant::now())))
    }

    /// Hands what is new on a page to intake; returns what to ask next.
    async fn take_page(&mut self, body: &[u8]) -> Result<Option<Request>, Interrupted> {
        let values: Vec<&RawValue> = serde_json::from_slice(body).map_err(PollError::Malformed)?;
        let stamps = values.iter().map(|value| serde_json::from_str(value.get()));
        let stamps: Vec<Stamp<'_>> = stamps
            .collect::<Result<_, _>>()
            .map_err(PollError::Malformed)?;
        let rows = rows(&stamps)?;
        let Some((_, cursor)) = &mut self.state else {
            return Ok(None);
        };
        let page = cursor.page(&rows);
        let Some(oldest) = page.fresh.iter().map(|index| rows[*index].time).min() else {
            return Ok(page.next);
        };
        let ticket = cursor.hand_over(oldest);
        let mut batch = self.intake.batch();
        for index in page.fresh {
            if let Some(event) = self.event(values[index], rows[index]) {
                batch.push(event);
            }
        }
        if let Some((_, cursor)) = &self.state {
            self.bookmark.save_with(&mut batch, cursor);
        }
        match self.intake.submit(batch).await {
            Ok(receipt) => self.receipts.push((ticket, receipt)),
            Err(IntakeError::Stopping) => return Err(Interrupted::Stopping),
            Err(error) => self.drop_unfitting(ticket, &error),
        }
        Ok(page.next)
    }

    /// The event of a row; `None` if it is not wanted, or not an event.
    fn event<'r>(&mut self, value: &'r RawValue, row: Row<'_>) -> Option<Event<'r>> {
        match Event::parse(value.get().as_bytes()) {
            Ok(mut event) => {
                name_realm(&mut event, self.api.realm());
                (!self.is_own_login(&event)).then_some(event)
            }
            Err(error) => {
                self.intake.bad(1);
                if let Some(left_out) = self.complaints.admit(Instant::now()) {
                    let (realm, id) = (&**self.api.realm(), row.id);
                    warn!(realm, id, reason = %error, left_out, "skipped a row that is no event");
                }
                None
            }
        }
    }

    /// Whether polling itself made the event. Failed logins are somebody's business.
    fn is_own_login(&self, event: &Event<'_>) -> bool {
        let realm = &**self.api.realm();
        self.settings.ignore_own_client
            && self.settings.auth_realm(realm) == realm
            && event.client_id() == Some(&self.settings.client.client_id)
            && event.event_type() == OWN_LOGIN
            && event.outcome() == Outcome::Success
    }

    /// An event that can never be taken must not hold the position for ever.
    fn drop_unfitting(&mut self, ticket: Ticket, error: &IntakeError) {
        self.intake.bad(1);
        let realm = &**self.api.realm();
        warn!(realm, %error, "left out an event that can never fit into the queue");
        if let Some((_, cursor)) = &mut self.state {
            cursor.settled(ticket);
        }
    }

    /// Tells the cursor what has become safe.
    fn settle(&mut self) {
        let Some((_, cursor)) = &mut self.state else {
            return;
        };
        self.receipts.retain(|(ticket, receipt)| {
            let settled = receipt.is_settled();
            if settled {
                cursor.settled(*ticket);
            }
            !settled
        });
    }
}

fn rows<'s>(stamps: &'s [Stamp<'_>]) -> Result<Vec<Row<'s>>, PollError> {
    let row = |stamp: &'s Stamp<'_>| {
        let id = stamp
            .id
            .as_deref()
            .filter(|id| !id.trim().is_empty())
            .ok_or(PollError::NoIds)?;
        if id.len() > LONGEST_ID {
            return Err(PollError::LongId { limit: LONGEST_ID });
        }
        // Keycloak stamps every event. One without a stamp would sort first.
        Ok(Row {
            id,
            time: stamp.time.unwrap_or(0),
        })
    };
    stamps.iter().map(row).collect()
}

/// The API tells realms by id only; the name is the one that was asked for.
fn name_realm<'e>(event: &mut Event<'e>, realm: &str) {
    event.realm_name = Some(Cow::Owned(realm.to_owned()));
    if let Fields::Admin(admin) = &mut event.fields
        && let Some(auth) = &mut admin.auth_details
        && auth.realm_name.is_none()
        && auth.realm_id.is_some()
        && auth.realm_id == event.realm_id
    {
        auth.realm_name = Some(Cow::Owned(realm.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(json: &str) -> Stamp<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rows_are_told_apart_by_id_and_ordered_by_time() {
        let stamps = [
            stamp(r#"{"id":"a","time":5,"type":"LOGIN"}"#),
            stamp(r#"{"time":null,"id":"\u0062"}"#),
        ];
        let found = rows(&stamps).unwrap();
        assert_eq!(found, [Row { id: "a", time: 5 }, Row { id: "b", time: 0 }]);
    }

    #[test]
    fn one_row_without_an_id_spoils_the_page() {
        for json in [
            r#"{"time":5}"#,
            r#"{"id":null,"time":5}"#,
            r#"{"id":" ","time":5}"#,
        ] {
            let stamps = [stamp(r#"{"id":"a","time":5}"#), stamp(json)];
            assert!(matches!(rows(&stamps), Err(PollError::NoIds)), "{json}");
        }
    }

    #[test]
    fn an_id_that_would_fill_memory_is_not_remembered() {
        let json = |length| format!(r#"{{"id":"{}","time":5}}"#, "x".repeat(length));
        let (longest, longer) = (json(LONGEST_ID), json(LONGEST_ID + 1));
        assert_eq!(rows(&[stamp(&longest)]).unwrap().len(), 1);
        assert!(matches!(
            rows(&[stamp(&longer)]),
            Err(PollError::LongId { limit: LONGEST_ID })
        ));
    }

    #[test]
    fn the_administrator_of_another_realm_keeps_that_realm() {
        let realm_of_administrator = |auth: &str| {
            let json = format!(
                r#"{{"realmId":"i","operationType":"CREATE","resourceType":"USER",
                    "authDetails":{auth}}}"#
            );
            let mut event = Event::parse(json.as_bytes()).unwrap();
            name_realm(&mut event, "shop");
            assert_eq!(event.realm_name.as_deref(), Some("shop"));
            let Fields::Admin(admin) = &event.fields else {
                panic!("an admin event")
            };
            let auth = admin.auth_details.as_ref().unwrap();
            auth.realm_name.as_deref().map(str::to_owned)
        };
        assert_eq!(
            realm_of_administrator(r#"{"realmId":"i"}"#).as_deref(),
            Some("shop")
        );
        assert_eq!(realm_of_administrator(r#"{"realmId":"other"}"#), None);
        assert_eq!(realm_of_administrator("{}"), None);
        let named = r#"{"realmId":"i","realmName":"own"}"#;
        assert_eq!(realm_of_administrator(named).as_deref(), Some("own"));
    }
}
