//! Where the stored events are, and whether a kete runs that has them.
//!
//! Commands about stored events ask the kete that runs, over its control socket. If none does,
//! they open the data directory themselves, which keeps others from starting meanwhile. What else
//! is configured does not matter to them, so mistakes in other keys do not stop them.

use std::path::{Path, PathBuf};

use kete_config::{Diagnostics, Scope, Settings};
use kete_pipeline::{DeadLetterSettings, PipelineSettings, dead_letters, read_data_dir};

use crate::assemble::{self, ROOT, RouteNames};
use crate::cli::DataOptions;
use crate::control::{Client, ClientError, SocketError};
use crate::exit::Exit;
use crate::{output, settings};

/// The name of the control socket in a data directory.
pub(crate) const CONTROL_SOCKET: &str = "control.sock";

/// Where to look.
#[derive(Debug)]
pub(crate) struct Place {
    /// The data directory, if there is one.
    pub(crate) directory: Option<PathBuf>,
    /// The control socket, where there can be one.
    socket: Option<Socket>,
    /// The routes of the configuration; none if only the directory was named.
    pub(crate) routes: RouteNames,
    /// What the configuration says of the queue, if it says it right.
    pub(crate) pipeline: Option<PipelineSettings>,
    /// How dead letters are kept, if they are.
    pub(crate) dead_letters: Option<DeadLetterSettings>,
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The queue, which only a data directory has.
    Queue,
    /// Dead letters, which may be in a file of their own.
    DeadLetters,
}

/// The path of the control socket.
#[derive(Debug)]
enum Socket {
    /// As somebody wrote it.
    Chosen(PathBuf),
    /// In the data directory. Where the path is too long for a socket, nobody listens.
    Default(PathBuf),
}

/// What was found there.
pub(crate) enum Reached {
    /// A kete that runs.
    Running(Client),
    /// Nobody, and so this directory can be opened.
    Closed(PathBuf),
}

/// Nobody listens, and there is no directory to open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreached {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(
        "nobody listens on {}: no kete runs there, and without kete.data-dir nothing outlasts it",
        .0.display()
    )]
    Nobody(PathBuf),
}

/// Finds the place that the command line and the configuration name; prints why there is none.
pub(crate) fn find(options: &DataOptions, wanted: Wanted) -> Result<Place, Exit> {
    let diagnostics = Diagnostics::new();
    let settings = assemble::load(&options.options, &diagnostics);
    let scope = settings.scope(ROOT, &diagnostics);
    let configured = read_data_dir(&scope);
    let chosen = settings::control_socket(&scope);
    let routes = assemble::route_names(&settings, &diagnostics);
    let (Some(configured), Some(chosen)) = (configured, chosen) else {
        return Err(output::report_wrong(&diagnostics, options.options.format));
    };
    let directory = options.data_dir.clone().or_else(|| configured.clone());
    let own = configured.is_none() || same(&configured, &directory);
    let dead_letters = match wanted {
        Wanted::Queue => None,
        Wanted::DeadLetters => dead_letters(&scope, directory.as_deref(), own),
    };
    if diagnostics.has_errors() {
        return Err(output::report_wrong(&diagnostics, options.options.format));
    }
    // A socket is of the kete that is configured, and says nothing of another directory.
    let chosen = chosen.filter(|_| own);
    let socket = match (chosen, &directory) {
        (Some(chosen), _) => Some(Socket::Chosen(chosen)),
        (None, Some(directory)) => Some(Socket::Default(directory.join(CONTROL_SOCKET))),
        (None, None) if dead_letters.is_some() => None,
        (None, None) => {
            output::to_stderr(&format!(
                "error: there is no data directory: kete.data-dir is not set, so {}\n  name the \
                 configuration with --config, or the directory with --data-dir\n",
                wanted.without_directory()
            ));
            return Err(Exit::Wrong);
        }
    };
    Ok(Place {
        directory,
        socket,
        routes,
        pipeline: pipeline(&settings),
        dead_letters,
    })
}

/// How dead letters are kept, if they are. A path of their own is that of the kete that is
/// configured, and says nothing of another directory.
fn dead_letters(
    scope: &Scope<'_>,
    directory: Option<&Path>,
    own: bool,
) -> Option<DeadLetterSettings> {
    let mut settings = DeadLetterSettings::read(scope, directory)??;
    if let (false, Some(directory)) = (own, directory) {
        settings.place = dead_letters::Place::in_data_dir(directory);
    }
    Some(settings)
}

/// Mistakes in these keys do not matter to what is stored, and `check` reports them.
fn pipeline(settings: &Settings) -> Option<PipelineSettings> {
    let unheard = Diagnostics::new();
    let pipeline = PipelineSettings::read(&settings.scope(ROOT, &unheard));
    pipeline.filter(|pipeline| pipeline.storage.is_some() && !unheard.has_errors())
}

/// Whether two paths name one directory, as far as that can be told.
fn same(one: &Option<PathBuf>, other: &Option<PathBuf>) -> bool {
    let real = |path: &Option<PathBuf>| path.as_ref()?.canonicalize().ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

impl Place {
    /// Looks whether a kete runs.
    ///
    /// # Errors
    ///
    /// The socket cannot be used, or there is neither a kete nor a directory.
    pub(crate) async fn reach(&self) -> Result<Reached, Unreached> {
        match (self.client().await?, &self.directory, &self.socket) {
            (Some(client), ..) => Ok(Reached::Running(client)),
            (None, Some(directory), _) => Ok(Reached::Closed(directory.clone())),
            (None, None, socket) => Err(Unreached::Nobody(
                socket
                    .as_ref()
                    .map(Socket::path)
                    .unwrap_or(Path::new(""))
                    .to_owned(),
            )),
        }
    }

    /// Whoever listens on the control socket, if somebody does.
    ///
    /// # Errors
    ///
    /// The socket cannot be used.
    pub(crate) async fn client(&self) -> Result<Option<Client>, ClientError> {
        match &self.socket {
            Some(Socket::Chosen(path)) => Client::connect(path).await,
            Some(Socket::Default(path)) => default_client(path).await,
            None => Ok(None),
        }
    }
}

impl Wanted {
    /// What follows for it if there is no data directory.
    fn without_directory(self) -> &'static str {
        match self {
            Wanted::Queue => "the queue is in memory",
            Wanted::DeadLetters => "without kete.dead-letters.path no dead letters are kept",
        }
    }
}

/// A kete whose data directory has too long a path runs without a socket. What is wrong with a
/// directory without a socket, opening it tells better.
async fn default_client(path: &Path) -> Result<Option<Client>, ClientError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    match Client::connect(path).await {
        Err(ClientError::Socket(SocketError::TooLong { .. })) => Ok(None),
        other => other,
    }
}

impl Socket {
    fn path(&self) -> &Path {
        match self {
            Socket::Chosen(path) | Socket::Default(path) => path,
        }
    }
}
