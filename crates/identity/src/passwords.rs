//! Passwords: chosen, hashed, compared. For installations that have no identity provider.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use authz::{Action, Caller, Forbidden, Permission};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use kernel::{Moment, Secret, TenantId, UserId};
use store::{Database, StoreError};
use zeroize::Zeroizing;

use crate::gate::Gate;
use crate::rules::RoleBook;
use crate::store::passwords::Kept;
use crate::throttle::Throttled;
use crate::{Beyond, User, UserKind, UserStatus, Username, entries, rules, store as rows};

/// How few characters a password may have.
pub const MIN_PASSWORD: usize = 12;

/// How many bytes a password may have.
pub const MAX_PASSWORD: usize = 1_024;

/// Passwords that are tried first, and long enough to be chosen.
const COMMON: [&str; 24] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789012345",
    "1234567890123456",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "administrator",
    "changemechangeme",
    "correcthorsebatterystaple",
    "iloveyouiloveyou",
    "letmeinletmein",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "passw0rdpassw0rd",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "welcome12345",
];

/// A password that may be chosen.
pub struct Password(Secret<String>);

/// A text that may not be somebody's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It has too few characters.
    #[error("a password has at least {MIN_PASSWORD} characters")]
    TooShort,
    /// It has too many bytes.
    #[error("a password has at most {MAX_PASSWORD} bytes")]
    TooLong,
    /// It is one of those that are tried first.
    #[error("this password is among those that are tried first")]
    Common,
    /// It names its owner or the tenant.
    #[error("a password must not hold the username or the tenant's name")]
    NamesItsOwner,
}

impl Password {
    /// Checks a password that `username` of `tenant` would have.
    pub fn new(text: Secret<String>, username: &Username, tenant: &TenantId) -> Result<Self, PasswordError> {
        let clear = text.expose();
        if clear.len() > MAX_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        if clear.chars().count() < MIN_PASSWORD {
            return Err(PasswordError::TooShort);
        }
        let lower = Zeroizing::new(clear.to_lowercase());
        let names = [username.as_str(), tenant.as_str()];
        if names.iter().any(|name| name.len() > 2 && lower.contains(name)) {
            return Err(PasswordError::NamesItsOwner);
        }
        let mut letters: Vec<char> = lower.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        if COMMON.contains(&lower.as_str()) || letters.len() < 5 {
            return Err(PasswordError::Common);
        }
        Ok(Self(text))
    }

    /// A password that was chosen before, and has just proved to be the one.
    pub(crate) fn trusted(text: &Secret<String>) -> Self {
        Self(text.clone())
    }

    /// What is kept of it.
    pub(crate) fn hash(&self, at: &Moment<'_>) -> Result<String, StoreError> {
        hash(self.0.expose(), &at.bytes(), Cost::PRESENT)
            .ok_or(StoreError::Decode("what a password can be hashed with"))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What hashing a password costs: memory in KiB, passes over it, lanes (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    const PRESENT: Self = Self { memory: 19 * 1_024, passes: 2, lanes: 1 };
}

/// A hash in its PHC form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
fn hash(password: &str, salt: &[u8; 16], cost: Cost) -> Option<String> {
    let output = digest(password, salt, cost)?;
    let Cost { memory, passes, lanes } = cost;
    let (salt, output) = (BASE64.encode(salt), BASE64.encode(*output));
    Some(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}"))
}

fn digest(password: &str, salt: &[u8], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut output = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.as_bytes(), salt, &mut *output).ok()?;
    Some(output)
}

/// What comparing a password with a hash says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is the one.
    Right,
    /// It is the one, and was hashed as passwords no longer are.
    RightAndDated,
    /// It is another.
    Wrong,
}

/// Compares a password with what is kept. Where nothing is kept the same work is done for nothing, so that the time taken
/// does not tell who has a password.
pub(crate) fn compare(presented: &str, kept: Option<&str>) -> Compared {
    let presented = if presented.len() > MAX_PASSWORD { "" } else { presented };
    let (cost, salt, expected) = kept.and_then(read).unwrap_or((Cost::PRESENT, vec![0; 16], Vec::new()));
    let Some(output) = digest(presented, &salt, cost) else {
        return Compared::Wrong;
    };
    match verify_slices_are_equal(&*output, &expected) {
        Ok(()) if cost == Cost::PRESENT => Compared::Right,
        Ok(()) => Compared::RightAndDated,
        Err(_) => Compared::Wrong,
    }
}

fn read(phc: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let mut parts = phc.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, output) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { memory: cost("m=")?, passes: cost("t=")?, lanes: cost("p=")? };
    parts.next().is_none().then_some((cost, BASE64.decode(salt).ok()?, BASE64.decode(output).ok()?))
}

/// A password for somebody.
#[derive(Debug)]
pub struct PasswordChange {
    /// For whom.
    pub user: UserId,
    /// What it will be.
    pub new: Secret<String>,
    /// What it is; must be given, and right, for one's own.
    pub current: Option<Secret<String>>,
}

/// Changing one's own password. The present one proves more than a fresh session would.
#[derive(Debug)]
pub struct ChangeOwnPassword;

impl Action for ChangeOwnPassword {
    const NAME: &'static str = "identity.password.set";
    const PERMISSION: Option<Permission> = None;
}

/// Setting somebody's password.
#[derive(Debug)]
pub struct SetPassword;

impl Action for SetPassword {
    const NAME: &'static str = "identity.password.set";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// Why a password stayed as it was.
#[derive(Debug, thiserror::Error)]
pub enum SetPasswordError {
    /// The caller may not set that user's password.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Who sets a password can sign in with it: the user may do what the caller cannot.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// The tenant has no such user.
    #[error("no user `{0}`")]
    NotFound(UserId),
    /// Service accounts have keys, and a deactivated user gets no password.
    #[error("the user `{0}` cannot have a password")]
    NoPerson(UserId),
    /// It cannot be a password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The present password is another, or was not given.
    #[error("the present password is not right")]
    WrongPassword,
    /// It was tried too often.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// It was changed meanwhile.
    #[error("the password was changed meanwhile")]
    Stale,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Sets a password: one's own with the present one, or anybody's with `user:manage`, and so one's own first. It ends all
/// sessions and tokens of that user. Hashing takes its time, before the transaction: run few of these at once.
pub fn set_password(
    db: &Database,
    gate: &Gate,
    caller: &Caller,
    change: PasswordChange,
    at: &Moment<'_>,
) -> Result<(), SetPasswordError> {
    if rules::is_oneself(caller, &change.user) {
        let grant = caller.authorize_on::<ChangeOwnPassword>(change.user.as_str())?;
        let Known { user, kept, .. } = known(db, &grant, &change.user)?;
        if let Some(kept) = kept {
            let password = Password::new(change.new, &user.username, caller.tenant())?;
            let attempt = gate.begin(caller.tenant(), &user.username, None, at.now())?;
            let current = change.current.as_ref().map_or("", |current| current.expose());
            if compare(current, Some(&kept.hash)) == Compared::Wrong {
                return Err(SetPasswordError::WrongPassword);
            }
            gate.succeeded(attempt);
            // Whoever set the one before does not know this one.
            let next = Kept { hash: password.hash(at)?, set_by: [user.id.as_str()].into_iter().collect() };
            return db.write(grant, |tx| save(tx, &user, (Some(&kept), &next), at));
        }
    }
    let grant = caller.authorize_on::<SetPassword>(change.user.as_str())?;
    let Known { user, book, kept } = known(db, &grant, &change.user)?;
    rules::within(caller, book.permissions(&user.roles))?;
    let password = Password::new(change.new, &user.username, caller.tenant())?;
    let next = Kept { hash: password.hash(at)?, set_by: rules::makers(caller) };
    db.write(grant, |tx| {
        rules::within(caller, rows::roles::book(tx)?.permissions(&user.roles))?;
        save(tx, &user, (kept.as_ref(), &next), at)
    })
}

/// What a change of a password is decided by.
struct Known {
    user: User,
    book: RoleBook,
    kept: Option<Kept>,
}

fn known<A>(db: &Database, grant: &authz::Grant<A>, id: &UserId) -> Result<Known, SetPasswordError> {
    db.read(grant, |tx| {
        let user = rows::users::user(tx, id)?.ok_or_else(|| SetPasswordError::NotFound(id.clone()))?;
        Ok(Known { user, book: rows::roles::book(tx)?, kept: rows::passwords::password(tx, id)? })
    })
}

/// Saves a password, if the user and the password before are still those that it was decided for.
fn save(
    tx: &mut store::WriteTx<'_>,
    user: &User,
    (before, next): (Option<&Kept>, &Kept),
    at: &Moment<'_>,
) -> Result<(store::Entry, ()), SetPasswordError> {
    let now = rows::users::user(tx, &user.id)?.ok_or_else(|| SetPasswordError::NotFound(user.id.clone()))?;
    if now.kind != UserKind::User || now.status != UserStatus::Active {
        return Err(SetPasswordError::NoPerson(now.id));
    }
    if now.roles != user.roles || rows::passwords::password(tx, &user.id)?.as_ref() != before {
        return Err(SetPasswordError::Stale);
    }
    rows::passwords::save_password(tx, &user.id, next, at.now())?;
    rows::passwords::raise_epoch(tx, &user.id, at.now())?;
    let sessions = rows::users::end_sessions_of(tx, &user.id, at.now())?;
    Ok((entries::credentials::password_set(&user.id, sessions), ()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Cost = Cost { memory: 8, passes: 1, lanes: 1 };

    fn password(text: &str) -> Result<Password, PasswordError> {
        Password::new(Secret::new(text.to_owned()), &"olivia".parse().unwrap(), &"acme-corp".parse().unwrap())
    }

    #[test]
    fn a_password_is_long_and_not_the_first_that_is_tried() {
        for good in ["mountain bicycle 9", "éèàùâêîôûäëï", "x7$kQ!m2pL0w"] {
            assert!(password(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", PasswordError::TooShort),
            ("elevenchars", PasswordError::TooShort),
            ("éèàùâêîôûäë", PasswordError::TooShort),
            ("password1234", PasswordError::Common),
            ("PassWord1234", PasswordError::Common),
            ("aaaaaaaaaaaaaaaa", PasswordError::Common),
            ("abababababababab", PasswordError::Common),
            ("i am Olivia here", PasswordError::NamesItsOwner),
            ("ACME-Corp forever", PasswordError::NamesItsOwner),
        ] {
            assert_eq!(password(bad).unwrap_err(), why, "{bad}");
        }
        assert_eq!(password(&"long one ".repeat(200)).unwrap_err(), PasswordError::TooLong);
        assert!(COMMON.iter().all(|common| common.len() >= MIN_PASSWORD && !common.contains(char::is_uppercase)));
    }

    #[test]
    fn a_password_is_kept_as_a_phc_string_and_never_printed() {
        let kept = hash("mountain bicycle 9", &[7; 16], Cost::PRESENT).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{kept}");
        assert_eq!(compare("mountain bicycle 9", Some(&kept)), Compared::Right);
        assert_eq!(compare("mountain bicycle 8", Some(&kept)), Compared::Wrong);
        assert_eq!(format!("{:?}", password("mountain bicycle 9").unwrap()), "«secret»");
    }

    #[test]
    fn the_hash_is_the_one_of_the_reference_implementation() {
        // From the reference implementation of RFC 9106: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
        let cost = Cost { memory: 65_536, passes: 2, lanes: 1 };
        let digest = digest("password", b"somesalt", cost).unwrap();
        assert_eq!(kernel::hex(&*digest), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn a_hash_of_other_costs_is_right_and_to_be_made_anew() {
        let kept = hash("mountain bicycle 9", &[7; 16], SMALL).unwrap();
        assert_eq!(compare("mountain bicycle 9", Some(&kept)), Compared::RightAndDated);
    }

    #[test]
    fn nothing_is_no_password_and_broken_hashes_match_nothing() {
        assert_eq!(compare("", None), Compared::Wrong);
        for broken in ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwc$", "$argon2i$v=19$m=8,t=1,p=1$a$b"] {
            assert_eq!(compare("", Some(broken)), Compared::Wrong, "{broken}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn only_the_password_itself_is_right(one in ".{0,40}", other in ".{0,40}", salt: [u8; 16]) {
            let kept = hash(&one, &salt, SMALL).unwrap();
            let right = compare(&other, Some(&kept)) != Compared::Wrong;
            prop_assert_eq!(right, one == other);
        }
    }
}
