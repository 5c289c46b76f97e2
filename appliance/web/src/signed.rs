//! Forms that change something: each must come from a page that its sender got.

use axum::Form;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::frame::{is_own, stale};
use crate::session::{Owner, Person, Visit, Visitor};

/// A form with values that may come several times.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a name; empty where there is none.
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values of a name, in order.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Who may send a form.
pub trait Sender: Sized {
    /// Who is asking, and from which session.
    fn who(&self) -> (&Visit, &Visitor);
}

impl Sender for Owner {
    fn who(&self) -> (&Visit, &Visitor) {
        (&self.0, &self.1)
    }
}

impl Sender for Person {
    fn who(&self) -> (&Visit, &Visitor) {
        (&self.0, &self.1)
    }
}

/// A form with the token of its sender's session in the field `token`. Without it the answer says that the page is stale, and the
/// handler is not called.
pub struct Signed<W, F>(pub W, pub F);

impl<S, W, F> FromRequest<S> for Signed<W, F>
where
    S: Send + Sync,
    W: Sender + FromRequestParts<S, Rejection = Response> + Send,
    F: DeserializeOwned,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let sender = W::from_request_parts(&mut parts, state).await?;
        let octets = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await.map_err(IntoResponse::into_response)?;
        let token = form_urlencoded::parse(&octets).find(|(name, _)| name == "token").map(|(_, value)| value.into_owned());
        let (visit, visitor) = sender.who();
        if !is_own(visitor, &token.unwrap_or_default()) {
            return Err(stale(visit));
        }
        let form = Form::<F>::from_request(Request::from_parts(parts, octets.into()), state).await;
        Ok(Signed(sender, form.map_err(IntoResponse::into_response)?.0))
    }
}
