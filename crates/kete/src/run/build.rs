//! From what was checked to what can run: files are opened and ports bound here, and nowhere else.

use std::sync::Arc;

use kete_pipeline::{DeadLetters, LaneSpec, PipelineSettings, SourceSpec, Supervisor, Telemetry};
use kete_queue::Memory;

use super::StartError;
use crate::assemble::{CheckedRoute, ShownSource};

/// The machine without sources and lanes.
pub(super) fn pipeline(
    settings: &PipelineSettings,
    telemetry: Arc<Telemetry>,
) -> Result<Supervisor, StartError> {
    let dead_letters = match &settings.dead_letters {
        None => DeadLetters::none(),
        Some((path, limit)) => DeadLetters::open(path, *limit).map_err(StartError::DeadLetters)?,
    };
    let queue = Arc::new(Memory::new(settings.queue));
    let max_consecutive = settings.max_consecutive;
    Ok(Supervisor::new(
        queue,
        Arc::new(dead_letters),
        max_consecutive,
        telemetry,
    ))
}

/// Starts a lane for each route.
pub(super) fn destinations(
    supervisor: &mut Supervisor,
    routes: Vec<CheckedRoute>,
) -> Result<(), StartError> {
    for CheckedRoute {
        settings,
        limits,
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
            limits,
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
