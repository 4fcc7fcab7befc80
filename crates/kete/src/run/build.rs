//! From what was checked to what can run: files are opened and ports bound here, and nowhere else.

use std::fs::DirEntry;
use std::path::Path;
use std::sync::Arc;

use kete_pipeline::dead_letters::Place;
use kete_pipeline::{DeadLetters, LaneSpec, PipelineSettings, SourceSpec, Supervisor, Telemetry};
use kete_queue::Queue;
use tracing::warn;

use super::StartError;
use crate::assemble::{CheckedRoute, ShownSource};

/// The machine without sources and lanes.
pub(super) fn pipeline(
    settings: &PipelineSettings,
    queue: Arc<dyn Queue>,
    dead_letters: DeadLetters,
    telemetry: Arc<Telemetry>,
) -> Supervisor {
    let max_consecutive = settings.max_consecutive;
    let dead_letters = Arc::new(dead_letters);
    Supervisor::new(queue, dead_letters, max_consecutive, telemetry)
}

/// The store of dead letters, if there is to be one.
pub(super) fn dead_letters(settings: &PipelineSettings) -> Result<DeadLetters, StartError> {
    let data_dir = settings.storage.as_ref();
    let data_dir = data_dir.map(|storage| storage.directory.as_path());
    let Some(settings) = &settings.dead_letters else {
        return Ok(DeadLetters::none());
    };
    let key = match settings.place {
        Place::File(_) => {
            name_letters_elsewhere(data_dir);
            "kete.dead-letters.path"
        }
        Place::Directory(_) => "kete.data-dir",
    };
    DeadLetters::open(settings).map_err(|error| StartError::DeadLetters { key, error })
}

/// Letters in the data directory are out of sight as soon as dead letters have a path of their own.
fn name_letters_elsewhere(data_dir: Option<&Path>) {
    let Some(data_dir) = data_dir else { return };
    let Place::Directory(letters) = Place::in_data_dir(data_dir) else {
        return;
    };
    // The directory is there with every data directory, and mostly empty.
    let files = std::fs::read_dir(&letters).into_iter().flatten();
    let bytes = |file: std::io::Result<DirEntry>| Some(file.ok()?.metadata().ok()?.len());
    let bytes: u64 = files.filter_map(bytes).sum();
    if bytes > 0 {
        warn!(
            directory = %letters.display(),
            bytes,
            "dead letters from before kete.dead-letters.path was set are kept here, where nothing \
             sends them again or deletes them; to see them: kete dead-letters list --data-dir {}",
            data_dir.display()
        );
    }
}

/// Starts a lane for each route.
pub(super) fn destinations(
    supervisor: &mut Supervisor,
    routes: Vec<CheckedRoute>,
) -> Result<(), StartError> {
    for CheckedRoute {
        settings,
        consumer,
        plan,
        ..
    } in routes
    {
        let lane = plan.lane();
        let name = settings.name;
        let destination = plan.build().map_err(|problem| StartError::Destination {
            route: Arc::clone(&name),
            problem,
        })?;
        supervisor.add_lane(LaneSpec {
            name,
            rules: Arc::new(settings.rules),
            retry: settings.retry,
            lane,
            limits: consumer.limits,
            start_from: consumer.start_from,
            destination,
        });
    }
    Ok(())
}

/// Builds every source before the first one starts, so that a port that is taken stops it all
/// before an event has come in.
pub(super) async fn sources(
    supervisor: &mut Supervisor,
    sources: Vec<ShownSource>,
) -> Result<(), StartError> {
    let mut specs = Vec::with_capacity(sources.len());
    for ShownSource {
        source: checked, ..
    } in sources
    {
        specs.push(SourceSpec {
            name: checked.name.into(),
            finite: checked.finite,
            drops_repeats: checked.drops_repeats,
            source: checked.plan.build().await?,
        });
    }
    for spec in specs {
        supervisor.add_source(spec);
    }
    Ok(())
}
