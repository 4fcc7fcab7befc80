//! `kete keycloak`: has Keycloak get ready for kete.
//!
//! It reads as much of the configuration as it needs, so that it works on one that is not complete
//! yet: what it prints is often just what is missing there.

mod lines;
mod password;
mod secret_file;

use std::path::{Path, PathBuf};

use kete_config::{Diagnostics, Settings};
use kete_credentials::http::{HttpClient, HttpError, is_in_the_clear};
use kete_credentials::keycloak::{
    Account, KEYCLOAK_KEYS, KEYCLOAK_SECTIONS, Keycloak, OwnClient, Prepared, Registration,
    RegistrationError, SECTION, prepare_client,
};
use kete_credentials::tls::TlsError;
use serde::Serialize;
use tokio::runtime;

use self::lines::{Line, SecretAt, Target};
use crate::assemble;
use crate::cli::{Format, PrepareOptions};
use crate::exit::Exit;
use crate::output;

/// Why the command could not do its work.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("kete.keycloak.tls: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Keycloak(#[from] RegistrationError),
    #[error(transparent)]
    SecretFile(#[from] secret_file::SecretFileError),
}

/// What is to be done, as far as it can be told without asking Keycloak.
struct Plan {
    keycloak: Keycloak,
    account: Account,
    /// The absolute path of the file that takes the secret.
    secret_file: Option<PathBuf>,
}

/// What was done, as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    /// Whether the client was not there before.
    created: bool,
    url: &'a str,
    realm: &'a str,
    client_id: &'a str,
    /// Absent where a file has it.
    client_secret: Option<&'a str>,
    client_secret_file: Option<&'a Path>,
    /// What is still to be written into the configuration.
    lines: &'a [Line],
}

/// Prepares a client and prints how to use it.
pub(crate) fn prepare(arguments: &PrepareOptions) -> Exit {
    let format = arguments.options.format;
    let diagnostics = Diagnostics::new();
    let mut options = arguments.options.clone();
    options.set.extend(
        arguments
            .url
            .iter()
            .map(|url| format!("{SECTION}.url={url}")),
    );
    let settings = assemble::load(&options, &diagnostics);
    let plan = match plan(arguments, &settings, &diagnostics) {
        Ok(Some(plan)) if !diagnostics.has_errors() => plan,
        Ok(_) => return output::report_wrong(&diagnostics, format),
        Err(usage) => {
            output::to_stderr(&format!("{diagnostics}error: {usage}\n"));
            return Exit::Wrong;
        }
    };
    output::report_warnings(&diagnostics);
    match carry_out(arguments, &settings, &plan) {
        Ok(text) => output::answer(&text, Exit::Fine),
        Err(error) => {
            output::to_stderr(&format!("error: {error}\n"));
            Exit::Failed
        }
    }
}

/// `None` if diagnostics say what is wrong, an error if it is the command line.
fn plan(
    arguments: &PrepareOptions,
    settings: &Settings,
    diagnostics: &Diagnostics,
) -> Result<Option<Plan>, String> {
    settings
        .scope(SECTION, diagnostics)
        .check_unknown_sections(&[KEYCLOAK_KEYS], KEYCLOAK_SECTIONS);
    let keycloak = Keycloak::read(settings, diagnostics);
    refuse_polling_client(arguments, settings)?;
    refuse_password_in_the_clear(arguments, keycloak.as_ref())?;
    let account = account(arguments, settings, diagnostics)?;
    let secret_file = arguments.secret_file.as_deref().map(std::path::absolute);
    let secret_file = secret_file
        .transpose()
        .map_err(|error| format!("--secret-file: {error}"))?;
    let (Some(keycloak), Some(account)) = (keycloak, account) else {
        return Ok(None);
    };
    Ok(Some(Plan {
        keycloak,
        account,
        secret_file,
    }))
}

/// Who logs in; `None` if diagnostics say what is wrong.
fn account(
    arguments: &PrepareOptions,
    settings: &Settings,
    diagnostics: &Diagnostics,
) -> Result<Option<Account>, String> {
    if let Some(user) = &arguments.admin_user {
        return Ok(Some(Account::Administrator {
            realm: arguments.admin_realm.clone(),
            user: user.clone(),
            password: password::read(arguments.admin_password_file.as_deref())?,
        }));
    }
    match Registration::read_unwarned(settings, diagnostics) {
        None => Ok(None),
        Some(Some(registration)) => Ok(Some(registration.account(&arguments.realm))),
        Some(None) => Err(
            "nobody is named who logs in to Keycloak: add --admin-user NAME, or set \
             kete.keycloak.registration.client-id and .client-secret"
                .to_owned(),
        ),
    }
}

/// Receivers see the tokens, so these must not be good for reading all events.
fn refuse_polling_client(arguments: &PrepareOptions, settings: &Settings) -> Result<(), String> {
    let PrepareOptions {
        oauth_client,
        realm,
        ..
    } = arguments;
    match OwnClient::of(settings) {
        Some(own) if own.client_id == *oauth_client && own.realms.contains(realm) => Err(format!(
            "{oauth_client} is the client that polls Keycloak in realm {realm} \
             (kete.keycloak.client-id), and its tokens can read all events: name another one with \
             --oauth-client"
        )),
        _ => Ok(()),
    }
}

/// Whoever reads the password of an administrator on its way owns Keycloak.
fn refuse_password_in_the_clear(
    arguments: &PrepareOptions,
    keycloak: Option<&Keycloak>,
) -> Result<(), String> {
    let (Some(user), Some(keycloak)) = (&arguments.admin_user, keycloak) else {
        return Ok(());
    };
    if !is_in_the_clear(&keycloak.url) {
        return Ok(());
    }
    Err(format!(
        "the password of {user} would travel in the clear to {}: use https, or run this on the \
         machine of Keycloak itself with --url http://localhost and its port",
        keycloak.url
    ))
}

fn carry_out(
    arguments: &PrepareOptions,
    settings: &Settings,
    plan: &Plan,
) -> Result<String, PrepareError> {
    let (realm, client_id) = (&arguments.realm, &arguments.oauth_client);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let prepared = runtime.map_err(PrepareError::Runtime)?.block_on(async {
        let http = HttpClient::new(plan.keycloak.tls.build()?, None)?;
        let Plan {
            keycloak, account, ..
        } = plan;
        let prepared = prepare_client(&http, keycloak, account, realm, client_id).await?;
        Ok::<Prepared, PrepareError>(prepared)
    })?;
    let secret = match &plan.secret_file {
        None => SecretAt::Key(&prepared.secret),
        Some(path) => {
            secret_file::write(path, &prepared.secret)?;
            SecretAt::File(path)
        }
    };
    let target = Target {
        realm,
        client_id,
        secret,
    };
    let lines = lines::of(&target, &arguments.route, settings);
    Ok(match arguments.options.format {
        Format::Human => text(arguments, plan, prepared.created, &lines),
        Format::Json => output::json(&Answer {
            created: prepared.created,
            url: plan.keycloak.url.as_str(),
            realm,
            client_id,
            client_secret: match plan.secret_file {
                None => Some(prepared.secret.reveal()),
                Some(_) => None,
            },
            client_secret_file: plan.secret_file.as_deref(),
            lines: &lines,
        }),
    })
}

/// A piece of a properties file: what was done as a comment, and the lines.
fn text(arguments: &PrepareOptions, plan: &Plan, created: bool, lines: &[Line]) -> String {
    let outcome = match created {
        true => "was created",
        false => "was there already, and is unchanged",
    };
    let mut text = lines::comment(&format!(
        "The client {} in realm {} of {} {outcome}.",
        arguments.oauth_client, arguments.realm, plan.keycloak.url
    ));
    if lines.is_empty() {
        text.push_str(&lines::comment(
            "The configuration has all it needs to use it.",
        ));
    }
    text.extend(lines.iter().map(Line::to_string));
    text
}
