//! What goes: things that are deleted, and people who leave.

use authz::Caller;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::Leavers;
use kernel::Moment;
use store::Database;

use crate::app::App;
use crate::problem::Problem;

impl App {
    /// Runs a use case that takes something away.
    pub(crate) async fn delete<E: Into<Problem>>(
        &self,
        caller: Caller,
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<(), E> + Send + 'static,
    ) -> Result<Response, Problem> {
        let deleted = self.run(move |inner| use_case(&inner.db, &caller, &inner.db.moment()).map_err(Into::into));
        deleted.await.map(|()| StatusCode::NO_CONTENT.into_response())
    }

    /// What ends with a user besides sessions and keys.
    pub(crate) fn leavers(&self) -> Leavers {
        let followers = self.0.followers.clone();
        Leavers::new()
            .with("requests", move |tx, user, at| approvals::withdraw_all(tx, user.as_str(), &followers, at.now()))
    }
}
