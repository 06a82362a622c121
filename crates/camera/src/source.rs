//! Where a camera is and how it is entered.

use std::fmt;

use offhook_media::camera::{CameraId, Coding};
use url::Url;

/// A camera as it is configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// By which media knows it.
    pub id: CameraId,
    /// What it is called.
    pub name: String,
    url: Url,
    /// How its pictures are coded; `None`: only its sound is wanted.
    pub coding: Option<Coding>,
    credentials: Option<(String, String)>,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// It is none.
    NoUrl,
    /// It is of another kind.
    NoRtsp,
    /// It has no host.
    NoHost,
    /// It has a user name or a password in it.
    Credentials,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "that is no URL such as \"rtsp://192.0.2.7/stream1\"",
            Self::NoRtsp => "a camera is reached by rtsp://, without TLS",
            Self::NoHost => "the URL names no host",
            Self::Credentials => "user name and password have keys of their own: username, password",
        })
    }
}

impl std::error::Error for SourceError {}

impl Source {
    /// A camera at a URL, with the user name and password that it asks for.
    ///
    /// # Errors
    /// When the URL is not one of RTSP.
    pub fn new(
        (id, name): (CameraId, String),
        url: &str,
        coding: Option<Coding>,
        credentials: Option<(String, String)>,
    ) -> Result<Self, SourceError> {
        let url = Url::parse(url).map_err(|_| SourceError::NoUrl)?;
        if url.scheme() != "rtsp" {
            return Err(SourceError::NoRtsp);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(SourceError::NoHost);
        }
        // They would be seen wherever the URL is.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Credentials);
        }
        Ok(Self { id, name, url, coding, credentials })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn credentials(&self) -> Option<retina::client::Credentials> {
        let (username, password) = self.credentials.clone()?;
        Some(retina::client::Credentials { username, password })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("url", &self.url.as_str())
            .field("coding", &self.coding)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_rtsp_without_secrets_are_taken_and_a_password_is_not_printed() {
        let source = |url: &str| {
            let credentials = Some(("door".to_owned(), "geheim".to_owned()));
            Source::new((CameraId(1), "door".into()), url, None, credentials)
        };
        assert_eq!(source("door.example/stream"), Err(SourceError::NoUrl));
        assert_eq!(source("http://192.0.2.7/"), Err(SourceError::NoRtsp));
        assert_eq!(source("rtsp:///stream"), Err(SourceError::NoHost));
        assert_eq!(source("rtsp://a:b@192.0.2.7/"), Err(SourceError::Credentials));
        let shown = format!("{:?}", source("rtsp://192.0.2.7:8554/live").unwrap());
        assert!(shown.contains("192.0.2.7:8554") && !shown.contains("geheim"), "{shown}");
    }
}
