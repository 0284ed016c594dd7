//! The options for sign-in with GitHub.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use ironstar_adapters::github::{
    API_URL, AUTHORIZE_URL, GitHub, GitHubConfig, PATIENCE, TOKEN_URL,
};
use ironstar_ports::IdentityProvider;
use ironstar_web::SiteAddress;

use super::secret::{Secret, not_empty};

/// The options for sign-in with GitHub.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct GitHubOptions {
    /// Client id of the OAuth app at GitHub. The callback address of the app is
    /// '/sign-in/callback' below --public-url. By default, sign-in is off
    #[arg(
        long,
        env = "IRONSTAR_GITHUB_CLIENT_ID",
        value_name = "ID",
        value_parser = not_empty,
        requires = "github_client_secret",
        requires = "public_url"
    )]
    github_client_id: Option<String>,

    /// Client secret of the OAuth app. Prefer the variable: other users of the machine cannot
    /// read it
    #[arg(
        long,
        env = "IRONSTAR_GITHUB_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        requires = "github_client_id"
    )]
    github_client_secret: Option<Secret>,

    /// Authorization URL, for GitHub Enterprise Server
    #[arg(
        long,
        env = "IRONSTAR_GITHUB_AUTHORIZE_URL",
        value_name = "URL",
        default_value = AUTHORIZE_URL
    )]
    github_authorize_url: String,

    /// Token URL, for GitHub Enterprise Server
    #[arg(
        long,
        env = "IRONSTAR_GITHUB_TOKEN_URL",
        value_name = "URL",
        default_value = TOKEN_URL
    )]
    github_token_url: String,

    /// API URL, for GitHub Enterprise Server
    #[arg(
        long,
        env = "IRONSTAR_GITHUB_API_URL",
        value_name = "URL",
        default_value = API_URL
    )]
    github_api_url: String,
}

impl GitHubOptions {
    /// Returns GitHub as the identity provider of a site, if sign-in is on.
    pub(super) fn provider(
        &self,
        site: Option<&SiteAddress>,
    ) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
        let (Some(id), Some(secret)) = (&self.github_client_id, &self.github_client_secret) else {
            return Ok(None);
        };
        let Some(site) = site else {
            bail!("sign-in needs --public-url, the address that GitHub returns visitors to");
        };
        let github = GitHub::new(GitHubConfig {
            client_id: id.clone(),
            client_secret: secret.expose().to_owned(),
            authorize_url: self.github_authorize_url.clone(),
            token_url: self.github_token_url.clone(),
            api_url: self.github_api_url.clone(),
            redirect_url: format!("{site}/sign-in/callback"),
            patience: PATIENCE,
        });
        let github = github.context("cannot set up sign-in with GitHub")?;
        Ok(Some(Arc::new(github)))
    }
}
