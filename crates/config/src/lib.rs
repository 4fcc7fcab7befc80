//! Configuration as data: properties whose every value remembers where it was written.
//!
//! A [`Loader`] merges files, the environment and `--set` into [`Settings`]. Components declare
//! their settings once, as [`Key`]s in a [`KeyTable`], and read them through a [`Scope`]. What is
//! wrong goes to [`Diagnostics`], so that one run reports every mistake with its place, and
//! nothing is guessed. The crate knows no key name and does no I/O but reading the named files.
//!
//! ```
//! use kete_config::{Diagnostics, Key, KeyTable, Known, Loader};
//!
//! static PORT: Key<u16> = Key::with_default("port", "8080", "the port to listen on");
//! static KEYS: KeyTable = &[&PORT];
//!
//! let diagnostics = Diagnostics::new();
//! let settings = Loader::new("app").set("app.prot=80").load(&diagnostics);
//! assert_eq!(settings.scope("app", &diagnostics).read(&PORT), Some(8080));
//! settings.check_unknown(&Known::new().below("app", KEYS), &diagnostics);
//! assert_eq!(
//!     diagnostics.to_string(),
//!     "error[unknown-key]: --set: app.prot\n  there is no such key\n  did you mean app.port?\n",
//! );
//! ```

pub mod code;
mod diagnostic;
mod duration;
mod environment;
mod file;
mod key;
mod layers;
mod nearest;
mod origin;
mod placeholder;
pub mod properties;
mod scope;
mod setting;
mod size;
mod time;
mod unknown;
mod variables;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use duration::SecondsOrDuration;
pub use environment::shell_name;
pub use file::MAX_FILE_BYTES;
pub use key::{AnyKey, Key, KeyTable, MapKey, NotYet, Section, Status, Unused, table_mistakes};
pub use layers::{Loader, Settings};
pub use nearest::nearest;
pub use origin::Origin;
pub use scope::Scope;
pub use setting::{Positive, Setting, parse_word};
pub use size::Size;
pub use time::{rfc3339, rfc3339_millis};
pub use unknown::{Known, UnknownKeys};
