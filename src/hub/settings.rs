//! What the environment says about the hub: where it is, who we are to it, and
//! how patient to be. The token is kept here and never shown.
use std::{env, fmt, fs, path::PathBuf, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::hub::url::Url;

/// Where the hub is, unless HF_ENDPOINT says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

/// The words for yes that Hugging Face's own programs know.
const YES: [&str; 4] = ["1", "ON", "YES", "TRUE"];

/// How long to wait for what, and how often.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a connection, name look-up included.
    pub connect: Duration,
    /// For the next byte, headers included. A slow drip never runs out of it.
    pub idle: Duration,
    /// Requests in a row that may fail without any progress.
    pub tries: u32,
    /// Before the second request; each further wait is twice as long.
    pub first_wait: Duration,
    /// What waiting grows to by itself.
    pub longest_wait: Duration,
    /// The most that the hub can make us wait by `Retry-After`.
    pub longest_told: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            tries: 8,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            longest_told: Duration::from_mins(10),
        }
    }
}

/// A secret; `Debug` does not give it away.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    fn new(text: &str) -> Result<Option<Token>> {
        let text = text.trim();
        ensure!(
            text.chars().all(|c| c.is_ascii_graphic()),
            "HF_TOKEN (or the token file of HF_HOME) holds characters that no token has"
        );
        Ok((!text.is_empty()).then(|| Token(text.to_owned())))
    }

    /// The value of the header that proves who we are.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) endpoint: Url,
    pub(super) token: Option<Token>,
    /// The user's own Hugging Face cache (`HF_HOME/hub`), if there can be one.
    pub cache: Option<PathBuf>,
    /// Send nothing at all.
    pub offline: bool,
    pub patience: Patience,
}

impl Settings {
    /// From HF_ENDPOINT, HF_TOKEN (else the token file of HF_HOME), HF_HOME,
    /// HF_HUB_CACHE and HF_HUB_OFFLINE, as Hugging Face's own programs read them.
    ///
    /// # Errors
    /// An endpoint that is no http address, or a token that cannot be one.
    pub fn from_env() -> Result<Settings> {
        Settings::from_variables(&|name| env::var(name).ok())
    }

    /// The same from other variables than the environment's.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Settings> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut settings = Settings::at(given("HF_ENDPOINT").as_deref().unwrap_or(ENDPOINT))?;
        let home = match given("HF_HOME") {
            Some(home) => Some(hf_hub::Cache::new(PathBuf::from(home).join("hub"))),
            // The layout's own default panics for a user without a home.
            None => env::home_dir().map(|_| hf_hub::Cache::default()),
        };
        settings.token = if let Some(token) = given("HF_TOKEN") {
            Token::new(&token)?
        } else {
            let place = given("HF_TOKEN_PATH").map(PathBuf::from);
            let place = place.or_else(|| home.as_ref().map(hf_hub::Cache::token_path));
            let text = place.and_then(|place| fs::read_to_string(place).ok());
            text.map_or(Ok(None), |text| Token::new(&text))?
        };
        settings.cache = match given("HF_HUB_CACHE") {
            Some(cache) => Some(PathBuf::from(cache)),
            None => home.map(|cache| cache.path().clone()),
        };
        let offline = given("HF_HUB_OFFLINE").unwrap_or_default();
        settings.offline = YES.contains(&offline.trim().to_uppercase().as_str());
        Ok(settings)
    }

    /// The hub at an address, with no token and no cache of the user.
    ///
    /// # Errors
    /// An address that is not `http://HOST` or `https://HOST`.
    pub fn at(endpoint: &str) -> Result<Settings> {
        let Some(endpoint) = Url::parse(endpoint.trim().trim_end_matches('/')) else {
            bail!("HF_ENDPOINT must be https://HOST or http://HOST, without a user name in it");
        };
        Ok(Settings {
            endpoint,
            token: None,
            cache: None,
            offline: false,
            patience: Patience::default(),
        })
    }

    /// The same with a token.
    ///
    /// # Errors
    /// A text that cannot be a token.
    pub fn with_token(mut self, token: &str) -> Result<Settings> {
        self.token = Token::new(token)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "hf_canary";

    fn from(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_variables(&|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_as_by_hugging_face() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().to_str().unwrap();
        fs::write(home.path().join("token"), format!("{CANARY}\n")).unwrap();
        let settings = from(&[("HF_HOME", place)]).unwrap();
        assert_eq!(settings.endpoint.to_string(), ENDPOINT);
        assert_eq!(
            settings.token.as_ref().unwrap().bearer(),
            format!("Bearer {CANARY}")
        );
        assert_eq!(settings.cache, Some(home.path().join("hub")));
        assert!(!settings.offline);

        let settings = from(&[
            ("HF_HOME", place),
            ("HF_TOKEN", "other"),
            ("HF_ENDPOINT", "http://127.0.0.1:80/mirror/"),
            ("HF_HUB_CACHE", "/elsewhere"),
            ("HF_HUB_OFFLINE", "true"),
        ])
        .unwrap();
        assert_eq!(settings.endpoint.to_string(), "http://127.0.0.1:80/mirror");
        assert_eq!(settings.token.unwrap().bearer(), "Bearer other");
        assert_eq!(settings.cache, Some("/elsewhere".into()));
        assert!(settings.offline);
    }

    #[test]
    fn a_token_is_shown_nowhere() {
        let settings = from(&[("HF_HOME", "/none"), ("HF_TOKEN", CANARY)]).unwrap();
        assert!(!format!("{settings:?}{settings:#?}").contains(CANARY));
        let broken = format!("{CANARY}\u{7}bell");
        let refused = from(&[("HF_HOME", "/none"), ("HF_TOKEN", &broken)]).unwrap_err();
        assert!(!format!("{refused:#}{refused:?}").contains(CANARY));
    }

    #[test]
    fn an_endpoint_is_an_http_address() {
        for wrong in ["huggingface.co", "ftp://a", "https://", "http://u:p@host"] {
            assert!(Settings::at(wrong).is_err(), "{wrong}");
        }
    }
}
