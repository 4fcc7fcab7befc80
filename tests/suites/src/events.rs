//! Events as Keycloak makes them, the same ones for the same seed.
//!
//! Each is written as kete writes it, so what arrives has to be equal as a JSON value. Texts hold
//! what real ones hold: accents, quotes, line ends, slashes, emoji. `details.sequence` counts the
//! events of a user, which is how the recorders see whether order is kept.

use serde_json::{Value, json};

/// The realm of all generated events.
const REALM: &str = "demo";
const REALM_ID: &str = "40ce3e08-7d1c-4a5b-9e0e-5a1f6c2b8d41";
const ADMIN_ID: &str = "f1045727-6b8d-4a0e-b3c9-5d7f2e1a4b80";
const FIRST_TIME_MS: u64 = 1_795_223_730_000;

const CLIENTS: [&str; 4] = ["account-console", "web-shop", "mobile-app", "back-office"];
const NAMES: [&str; 6] = [
    "zoë",
    "o'neill",
    "\"quoted\"",
    "slash/back\\slash",
    "日本",
    "🦀 line\nend",
];

/// One event.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// The user it is about; the events of one user have to stay in order.
    pub user: String,
    /// One line of JSON.
    pub json: String,
}

impl Sample {
    /// It as a value.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

/// Makes events of so many users in turn, as the seed decides.
#[must_use]
pub fn generate(seed: u64, users: u64, count: usize) -> Vec<Sample> {
    let mut random = Random::new(seed);
    let mut sequences = vec![0; usize::try_from(users).unwrap_or_default()];
    let next = |index: usize| {
        let user = random.below(users);
        let sequence = &mut sequences[usize::try_from(user).unwrap_or_default()];
        *sequence += 1;
        let event = Draft {
            user,
            sequence: *sequence,
            index: index as u64,
        };
        event.write(&mut random, "")
    };
    (0..count).map(next).collect()
}

/// A login with this text in its details; `index` makes it different from others, and sets the
/// time. It is the user's event number `sequence`.
#[must_use]
pub fn sample_with(text: &str, user: u64, sequence: u64, index: u64) -> Sample {
    Draft {
        user,
        sequence,
        index,
    }
    .write(&mut Random::new(index), text)
}

/// A login of a user with this id, their event number `sequence`.
pub(crate) fn login(id: &str, user: u64, sequence: u64) -> String {
    let draft = Draft {
        user,
        sequence,
        index: sequence,
    };
    let mut random = Random::new(user.rotate_left(32) ^ sequence);
    draft.user_event("LOGIN", id, &user_id(user), &mut random, "")
}

/// One line per event.
#[must_use]
pub fn lines(events: &[Sample]) -> Vec<u8> {
    let mut text = String::with_capacity(events.iter().map(|event| event.json.len() + 1).sum());
    for event in events {
        text.push_str(&event.json);
        text.push('\n');
    }
    text.into_bytes()
}

struct Draft {
    user: u64,
    sequence: u64,
    index: u64,
}

impl Draft {
    fn write(&self, random: &mut Random, text: &str) -> Sample {
        let (id, user) = (random.uuid(), user_id(self.user));
        let json = match random.below(100) {
            _ if !text.is_empty() => self.user_event("LOGIN", &id, &user, random, text),
            0..40 => self.user_event("LOGIN", &id, &user, random, ""),
            40..50 => self.user_event("LOGIN_ERROR", &id, &user, random, ""),
            50..75 => self.user_event("REFRESH_TOKEN", &id, &user, random, ""),
            75..90 => self.user_event("UPDATE_PROFILE", &id, &user, random, ""),
            _ => self.admin_event(&id, &user, random),
        };
        Sample { id, user, json }
    }

    fn time(&self) -> u64 {
        FIRST_TIME_MS + self.index
    }

    fn user_event(
        &self,
        event_type: &str,
        id: &str,
        user: &str,
        random: &mut Random,
        text: &str,
    ) -> String {
        let error = event_type
            .ends_with("_ERROR")
            .then_some("invalid_user_credentials");
        let client = CLIENTS[random.index(CLIENTS.len())];
        let mut details = json!({
            "auth_method": "openid-connect",
            "redirect_uri": format!("https://{client}.example.com/callback?tab=1&x=%20"),
            "code_id": random.uuid(),
            "username": NAMES[random.index(NAMES.len())],
            "sequence": self.sequence.to_string(),
        });
        if !text.is_empty() {
            details["text"] = text.into();
        }
        format!(
            "{{\"id\":\"{id}\",\"time\":{time},\"type\":\"{event_type}\",\
             \"realmId\":\"{REALM_ID}\",\"realmName\":\"{REALM}\",\"clientId\":\"{client}\",\
             \"userId\":\"{user}\",\"sessionId\":\"{session}\",\"ipAddress\":\"10.20.30.40\",\
             \"error\":{error},\"details\":{details}}}",
            time = self.time(),
            session = random.uuid(),
            error = json!(error),
        )
    }

    fn admin_event(&self, id: &str, user: &str, random: &mut Random) -> String {
        let operation = ["CREATE", "UPDATE"][random.index(2)];
        let name = NAMES[random.index(NAMES.len())];
        let representation = json!({ "username": name, "enabled": true }).to_string();
        format!(
            "{{\"id\":\"{id}\",\"time\":{time},\"realmId\":\"{REALM_ID}\",\
             \"realmName\":\"{REALM}\",\"authDetails\":{{\"realmId\":\"{REALM_ID}\",\
             \"realmName\":\"{REALM}\",\"clientId\":\"{client}\",\"userId\":\"{ADMIN_ID}\",\
             \"ipAddress\":\"127.0.0.1\"}},\"resourceType\":\"USER\",\
             \"operationType\":\"{operation}\",\"resourcePath\":\"users/{user}\",\
             \"representation\":{representation},\"error\":null,\"resourceTypeAsString\":\"USER\",\
             \"details\":{{\"sequence\":\"{sequence}\"}},\"resourceId\":\"{user}\"}}",
            time = self.time(),
            client = random.uuid(),
            representation = json!(representation),
            sequence = self.sequence,
        )
    }
}

fn user_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Vigna's SplitMix64: small, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_events_and_every_id_once() {
        let events = generate(7, 20, 500);
        assert_eq!(lines(&events), lines(&generate(7, 20, 500)));
        assert_ne!(lines(&events), lines(&generate(8, 20, 500)));
        let ids: HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), 500);
        let users: HashSet<&str> = events.iter().map(|event| event.user.as_str()).collect();
        assert_eq!(users.len(), 20);
    }

    #[test]
    fn every_event_is_one_line_of_json_that_says_whose_it_is() {
        for event in generate(7, 20, 500) {
            assert!(!event.json.contains('\n'), "{}", event.json);
            let value = event.value();
            assert_eq!(value["id"], event.id.as_str());
            let path = value["resourcePath"].as_str().unwrap_or_default();
            let user = value["userId"].as_str().or(path.strip_prefix("users/"));
            assert_eq!(user, Some(event.user.as_str()));
        }
    }
}
