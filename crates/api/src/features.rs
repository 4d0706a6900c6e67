//! What a tenant may use, where its settings say so.

use authz::Caller;

use crate::app::App;
use crate::problem::{Kind, Problem};

/// What the paths of each feature start with. Sessions are `sign_in` wherever they go.
const PATHS: [(&str, &str); 8] = [
    ("/api/v1/admin/policies", "policies"),
    ("/api/v1/admin/identity-providers", "sign_in"),
    ("/api/v1/admin/sessions", "sign_in"),
    ("/api/v1/me/password", "sign_in"),
    ("/auth/", "sign_in"),
    ("/scim/v2", "scim"),
    ("/api/v1/tokens", "tokens"),
    ("/oauth/", "tokens"),
];

/// Refuses what the caller's tenant may not use.
pub(crate) fn allow(app: &App, caller: &Caller, path: &str, session: bool) -> Result<(), Problem> {
    let Some(settings) = app.0.directory.tenant_settings(caller.tenant()) else { return Ok(()) };
    let named = PATHS.iter().filter(|(start, _)| path.starts_with(start)).map(|(_, feature)| *feature);
    match named.chain(session.then_some("sign_in")).find(|feature| !settings.allows(feature)) {
        Some(feature) => Err(Problem::client(
            Kind::Forbidden,
            &format_args!("the tenant may not use `{feature}`: the platform decides by the `features` of its settings"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::PATHS;

    #[test]
    fn every_feature_is_one_that_settings_know_and_each_binds() {
        assert!(PATHS.iter().all(|(_, feature)| identity::FEATURES.contains(feature)));
        assert!(identity::FEATURES.iter().all(|feature| PATHS.iter().any(|(_, named)| named == feature)));
    }
}
