//! No two listeners on one address.
//!
//! Webhooks and the administration each bind an address of their own, and the second one to ask
//! for it would fail at start. That can be seen in the settings, so `check` says it. Nothing is
//! bound here: an address that another program holds is not seen.

use std::net::SocketAddr;

use kete_config::{AnyKey, Diagnostics, Setting, Settings};

use super::ROOT;
use super::sources::{self, ShownSource};
use crate::settings::ADMIN_BIND;

/// Two listeners ask for one address.
const ADDRESS_TAKEN_TWICE: &str = "address-taken-twice";

/// The key of a source that listens.
const BIND: &str = "bind";

struct Listener {
    /// The full key, which need not be set.
    key: String,
    address: SocketAddr,
    is_set: bool,
}

/// Reports every listener whose address an earlier one has.
pub(super) fn judge(settings: &Settings, sources: &[ShownSource], diagnostics: &Diagnostics) {
    let sources = sources.iter().map(|shown| {
        let section = format!("{}.{}", sources::SECTION, shown.source.name);
        let keys = shown.source.kind.keys.iter();
        let bind = keys.copied().find(|key| key.name() == BIND)?;
        listener(settings, &section, bind)
    });
    let admin = listener(settings, ROOT, &ADMIN_BIND);
    let listeners: Vec<Listener> = sources.chain([admin]).flatten().collect();
    for (index, second) in listeners.iter().enumerate() {
        let mut earlier = listeners[..index].iter();
        if let Some(first) = earlier.find(|first| collide(first.address, second.address)) {
            report(settings, first, second, diagnostics);
        }
    }
}

/// What is wrong with the address itself has been reported already.
fn listener(settings: &Settings, section: &str, bind: &dyn AnyKey) -> Option<Listener> {
    let unheard = Diagnostics::new();
    let scope = settings.scope(section, &unheard);
    let set = scope.raw(bind.name()).map(|(text, _)| text);
    let is_set = set.is_some();
    let text = set.or_else(|| bind.default().map(str::to_owned))?;
    Some(Listener {
        key: scope.full_name(bind.name()),
        address: SocketAddr::parse(&text).ok()?,
        is_set,
    })
}

/// Port 0 is a free one each time. The address of every interface leaves room for no other.
fn collide(first: SocketAddr, second: SocketAddr) -> bool {
    let everywhere = first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() != 0 && first.port() == second.port() && (first.ip() == second.ip() || everywhere)
}

fn report(settings: &Settings, first: &Listener, second: &Listener, diagnostics: &Diagnostics) {
    // What somebody wrote is the better place to point at.
    let (at, other) = match second.is_set {
        true => (second, first),
        false => (first, second),
    };
    let own = if at.is_set { "" } else { " (default)" };
    let default = if other.is_set { "" } else { " (default)" };
    let message = format!(
        "this listens on {}{own}, which {} takes too: {}{default}",
        at.address, other.key, other.address
    );
    let help = "give one of the two another port".to_owned();
    let scope = settings.scope("", diagnostics);
    scope.reject(&at.key, ADDRESS_TAKEN_TWICE, message, help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide_on_one_port_only() {
        for (first, second, collides) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.2:1", true),
            ("127.0.0.1:1", "[::]:1", true),
            ("0.0.0.0:1", "127.0.0.1:2", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let (one, two) = (first.parse().unwrap(), second.parse().unwrap());
            assert_eq!(collide(one, two), collides, "{first} {second}");
            assert_eq!(collide(two, one), collides, "{second} {first}");
        }
    }
}
