//! Makes the events. The mix is that of a realm in use: mostly logins and token traffic, some
//! failures, a few changes by administrators.

use std::fmt::Write;

const FIRST_TIME_MS: u64 = 1_795_223_730_000;
const CLIENTS: [&str; 4] = ["account-console", "web-shop", "mobile-app", "back-office"];

/// A user event's type, the error it carries if any, and what its details begin with.
type UserEvent = (&'static str, Option<&'static str>, &'static str);

const LOGIN: UserEvent = (
    "LOGIN",
    None,
    r#""auth_method":"openid-connect","auth_type":"code","consent":"no_consent_required","#,
);
const LOGIN_ERROR: UserEvent = (
    "LOGIN_ERROR",
    Some("invalid_user_credentials"),
    r#""auth_method":"openid-connect","auth_type":"code","reason":"wrong credentials","#,
);
const CODE_TO_TOKEN: UserEvent = (
    "CODE_TO_TOKEN",
    None,
    concat!(
        r#""grant_type":"authorization_code","refresh_token_type":"Refresh","#,
        r#""scope":"openid email profile","client_auth_method":"client-secret","#
    ),
);
const REFRESH_TOKEN: UserEvent = (
    "REFRESH_TOKEN",
    None,
    concat!(
        r#""grant_type":"refresh_token","refresh_token_type":"Refresh","#,
        r#""scope":"openid email profile","client_auth_method":"client-secret","#
    ),
);
const LOGOUT: UserEvent = (
    "LOGOUT",
    None,
    r#""auth_method":"openid-connect","remember_me":"false","#,
);
const UPDATE_PROFILE: UserEvent = (
    "UPDATE_PROFILE",
    None,
    r#""previous_first_name":"Zoë","updated_first_name":"Zoé","context":"ACCOUNT","#,
);

/// Writes one event after the other; never ends.
pub(crate) struct Generator {
    random: SplitMix,
    realm: String,
    realm_id: String,
    users: Vec<User>,
    written: u64,
}

struct User {
    id: String,
    name: String,
    session: String,
    sequence: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64, users: usize, realm: &str) -> Generator {
        let mut random = SplitMix(seed);
        let realm_id = random.uuid();
        let users = (0..users)
            .map(|number| User::new(number, &mut random))
            .collect();
        Generator {
            random,
            realm: realm.to_owned(),
            realm_id,
            users,
            written: 0,
        }
    }

    /// Appends one event, without a line end.
    pub(crate) fn next_event(&mut self, out: &mut String) {
        let user = self.random.below(self.users.len());
        self.written += 1;
        self.users[user].sequence += 1;
        match self.random.below(100) {
            0..32 => self.user_event(user, &LOGIN, out),
            32..40 => self.user_event(user, &LOGIN_ERROR, out),
            40..60 => self.user_event(user, &CODE_TO_TOKEN, out),
            60..76 => self.user_event(user, &REFRESH_TOKEN, out),
            76..86 => self.user_event(user, &LOGOUT, out),
            86..90 => self.user_event(user, &UPDATE_PROFILE, out),
            _ => self.admin_event(user, out),
        }
    }

    fn user_event(&mut self, user: usize, event: &UserEvent, out: &mut String) {
        let (event_type, error, details) = event;
        let (id, code) = (self.random.uuid(), self.random.uuid());
        let client = CLIENTS[self.random.below(CLIENTS.len())];
        let address = self.random.below(250) + 1;
        let error = error.map_or("null".to_owned(), |error| format!("\"{error}\""));
        let (time, realm, realm_id) = (self.time(), &self.realm, &self.realm_id);
        let User {
            id: user_id,
            name,
            session,
            sequence,
        } = &self.users[user];
        append(
            out,
            format_args!(
                "{{\"id\":\"{id}\",\"time\":{time},\"type\":\"{event_type}\",\
                 \"realmId\":\"{realm_id}\",\"realmName\":\"{realm}\",\"clientId\":\"{client}\",\
                 \"userId\":\"{user_id}\",\"sessionId\":\"{session}\",\
                 \"ipAddress\":\"10.20.30.{address}\",\"error\":{error},\"details\":{{{details}\
                 \"redirect_uri\":\"https://{client}.example.com/callback?tab=1\",\
                 \"code_id\":\"{code}\",\"username\":\"{name}\",\"sequence\":\"{sequence}\"}}}}"
            ),
        );
    }

    fn admin_event(&mut self, user: usize, out: &mut String) {
        let id = self.random.uuid();
        let operation = ["CREATE", "UPDATE"][self.random.below(2)];
        let (time, realm, realm_id) = (self.time(), &self.realm, &self.realm_id);
        let User {
            id: user_id,
            name,
            session,
            sequence,
        } = &self.users[user];
        append(
            out,
            format_args!(
                "{{\"id\":\"{id}\",\"time\":{time},\"realmId\":\"{realm_id}\",\
                 \"realmName\":\"{realm}\",\"authDetails\":{{\"realmId\":\"{realm_id}\",\
                 \"realmName\":\"{realm}\",\"clientId\":\"{session}\",\"userId\":\"{realm_id}\",\
                 \"ipAddress\":\"127.0.0.1\"}},\"resourceType\":\"USER\",\
                 \"operationType\":\"{operation}\",\"resourcePath\":\"users/{user_id}\",\
                 \"representation\":\"{{\\\"username\\\":\\\"{name}\\\",\\\"enabled\\\":true}}\",\
                 \"error\":null,\"resourceTypeAsString\":\"USER\",\
                 \"details\":{{\"sequence\":\"{sequence}\"}},\"resourceId\":\"{user_id}\"}}"
            ),
        );
    }

    fn time(&self) -> u64 {
        FIRST_TIME_MS + self.written
    }
}

impl User {
    fn new(number: usize, random: &mut SplitMix) -> User {
        let (id, session) = (random.uuid(), random.uuid());
        User {
            id,
            name: format!("user-{number:05}"),
            session,
            sequence: 0,
        }
    }
}

/// A `String` takes whatever is written to it, so the result carries no news.
fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Vigna's SplitMix64: small, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Shaped like the version 4 UUIDs that Keycloak uses.
    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let variant = 0x8000 | ((low >> 48) & 0x3fff);
        format!(
            "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(seed: u64, count: usize) -> Vec<String> {
        let mut generator = Generator::new(seed, 7, "demo");
        let mut all = Vec::new();
        for _ in 0..count {
            let mut line = String::new();
            generator.next_event(&mut line);
            all.push(line);
        }
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(events(5, 200), events(5, 200));
        assert_ne!(events(5, 200), events(6, 200));
    }

    #[test]
    fn an_event_has_about_six_hundred_bytes() {
        let all = events(1, 2_000);
        let mean = all.iter().map(String::len).sum::<usize>() / all.len();
        assert!((560..=640).contains(&mean), "the mean is {mean}");
    }
}
