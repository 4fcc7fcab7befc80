//! Who a connection says it is: TLS material and tokens, both evaluated anew for every attempt.
//!
//! A file that was renewed and a token that was refused therefore cost no restart. What a
//! connection was made with also decides how long it may stay: see [`Lease`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use kete_credentials::http::HttpError;
use kete_credentials::oauth::{OauthSettings, SendAs, Token, TokenSource};
use kete_credentials::tls::{StoreCertificate, Tls, TlsError, TlsSettings};
use kete_pipeline::{Certificate, ConnectFailure};
use kete_socketio::Options;
use rustls::ClientConfig;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::failure;

/// What the sections `tls` and `oauth` say.
#[derive(Debug)]
pub(crate) struct IdentitySettings {
    pub(crate) tls: TlsSettings,
    pub(crate) oauth: Option<OauthSettings>,
}

/// Why an identity cannot be made of settings that are right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("url needs TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("oauth: {0}")]
    Oauth(#[from] HttpError),
}

/// Completes the options of each attempt.
#[derive(Debug)]
pub(crate) struct Identity {
    options: Options,
    tls: Option<Tls>,
    replace_when_renewed: bool,
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    source: TokenSource,
    send_as: SendAs,
    auth_key: String,
    replace_before_end: bool,
}

/// A connection stays at least this long, however short its token lives: each new one costs the
/// server a handshake, and a token endpoint a request.
const SHORTEST_STAY: Duration = Duration::from_secs(1);

/// By how much of its time a connection may be replaced sooner, so that those that were made with
/// one token are not replaced all at once.
const SPREAD: f64 = 0.1;

/// What one attempt is made with.
pub(crate) struct Attempt {
    pub(crate) options: Options,
    token: Option<Token>,
    replace_before_end: bool,
    renewals: Option<watch::Receiver<u64>>,
}

/// How long a connection may stay with the identity that it was made with.
#[derive(Debug)]
pub(crate) struct Lease {
    until: Option<Instant>,
    renewals: Option<watch::Receiver<u64>>,
}

impl IdentitySettings {
    /// The certificates of all stores.
    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let oauth = self.oauth.as_ref();
        let oauth = oauth.map_or(Vec::new(), OauthSettings::certificates);
        let tls = self.tls.certificates();
        tls.into_iter().chain(oauth).map(told).collect()
    }

    /// Makes the identity of connections that are otherwise made with these options.
    pub(crate) fn build(&self, mut options: Options) -> Result<Identity, IdentityError> {
        let tls = self.tls.build()?;
        options.server_name = self.tls.server_name().map(str::to_owned);
        let tokens = match &self.oauth {
            None => None,
            Some(oauth) => Some(Tokens {
                source: oauth.build()?,
                send_as: oauth.send_as(),
                auth_key: oauth.auth_key().to_owned(),
                replace_before_end: oauth.reconnect_before_expiry(),
            }),
        };
        Ok(Identity {
            options,
            tls,
            replace_when_renewed: self.tls.reconnect_on_renewal(),
            tokens,
        })
    }
}

fn told(certificate: StoreCertificate) -> Certificate {
    Certificate {
        store: certificate.store_key(),
        subject: certificate.facts.subject,
        issuer: certificate.facts.issuer,
        not_before: certificate.facts.not_before,
        not_after: certificate.facts.not_after,
    }
}

impl Identity {
    /// How long an attempt may take, without what it waits for a token.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.options.connect_timeout
    }

    /// The certificates that are in use now.
    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let tls = self.tls.as_ref().map_or(Vec::new(), Tls::certificates);
        let tokens = self.tokens.as_ref();
        let oauth = tokens.map_or(Vec::new(), |tokens| tokens.source.certificates());
        tls.into_iter().chain(oauth).map(told).collect()
    }

    /// What the next attempt is made with: current files, and a token that is good for a while.
    pub(crate) async fn attempt(&self, peer: &str) -> Result<Attempt, ConnectFailure> {
        let mut attempt = Attempt {
            options: self.options.clone(),
            token: None,
            replace_before_end: false,
            renewals: None,
        };
        if let Some(tls) = &self.tls {
            let (config, renewals) = current(tls).await;
            attempt.options.tls = Some(config);
            attempt.renewals = self.replace_when_renewed.then_some(renewals);
        }
        if let Some(tokens) = &self.tokens {
            let fresh = tokens.source.token().await;
            let fresh = fresh.map_err(|error| failure::no_token(peer, &error))?;
            tokens
                .put(&fresh, &mut attempt.options)
                .map_err(|problem| failure::unusable_token(peer, problem))?;
            attempt.replace_before_end = tokens.replace_before_end;
            attempt.token = Some(fresh);
        }
        Ok(attempt)
    }

    /// The server refused the credentials of this attempt. Says whether another attempt at once is
    /// worth it, because it would be made with a new token.
    pub(crate) fn refused(&self, attempt: &Attempt) -> bool {
        match (&self.tokens, &attempt.token) {
            (Some(tokens), Some(token)) => tokens.source.refuse(token),
            _ => false,
        }
    }

    /// Notices renewals while no connection is made. Ends at once where there is nothing to watch.
    pub(crate) async fn watch_files(&self) {
        let tls = async {
            if let Some(tls) = &self.tls {
                tls.watch_files().await;
            }
        };
        let tokens = async {
            if let Some(tokens) = &self.tokens {
                tokens.source.watch_files().await;
            }
        };
        tokio::join!(tls, tokens);
    }
}

/// The newest configuration, and what tells the next renewal after it.
async fn current(tls: &Tls) -> (Arc<ClientConfig>, watch::Receiver<u64>) {
    loop {
        let renewals = tls.renewals();
        let config = tls.config().await;
        if !renewals.has_changed().unwrap_or(false) {
            return (config, renewals);
        }
    }
}

impl Attempt {
    /// Whether a token was sent.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// How long the connection that came of it may stay.
    pub(crate) fn into_lease(self, now: Instant) -> Lease {
        let token = self.token.filter(|_| self.replace_before_end);
        let until = token.map(|token| {
            let left = token.use_until().saturating_duration_since(now);
            let sooner = SPREAD * rand::random::<f64>();
            now + left.mul_f64(1.0 - sooner).max(SHORTEST_STAY)
        });
        let renewals = self.renewals;
        Lease { until, renewals }
    }
}

impl Tokens {
    /// Puts the token where the server looks for it; what stood there before gives way.
    fn put(&self, token: &Token, options: &mut Options) -> Result<(), &'static str> {
        if self.send_as.header {
            options.headers.insert(AUTHORIZATION, token.bearer());
        }
        if self.send_as.query {
            options.query.retain(|(name, _)| *name != self.auth_key);
            let value = token.reveal().to_owned();
            options.query.push((self.auth_key.clone(), value));
        }
        if self.send_as.auth {
            let mut members: Map<String, Value> = match &options.auth {
                None => Map::new(),
                Some(json) => serde_json::from_slice(json).map_err(|_| "auth is no object")?,
            };
            members.insert(self.auth_key.clone(), token.reveal().into());
            options.auth = Some(Bytes::from(Value::Object(members).to_string()));
        }
        Ok(())
    }
}

impl Lease {
    /// Waits until the connection should be replaced; for ever if nothing asks for that.
    pub(crate) async fn over(&mut self) {
        tokio::select! {
            () = reached(self.until) => self.until = None,
            () = renewed(&mut self.renewals) => {}
        }
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn renewed(renewals: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = renewals
        && receiver.changed().await.is_ok()
    {
        return;
    }
    // Nobody renews anything any more.
    *renewals = None;
    std::future::pending().await
}

#[cfg(test)]
mod tests;
