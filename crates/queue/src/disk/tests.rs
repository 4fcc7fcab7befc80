//! The log on a disk that fails: what was promised is kept, and what cannot be kept is said.

mod bounds;
mod damage;
mod failures;
mod faulty;
mod model;
mod support;
mod torn;
