//! Several nodes on one database.

use authz::{Request, Role};
use identity::{
    Bearer, CreateUserError, Directory, Leavers, NewToken, Refusal, StatusChange, TokenRefusal, UserChange, Verifier,
};

use crate::world::{World, new_user};

#[test]
fn a_key_revoked_on_one_node_is_refused_on_another_after_its_next_look() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere, identity::unguarded()).unwrap();
        for _ in 0..20 {
            let key = world.key(&olivia.id);
            let moment = tester.moment();
            let present = || directory.authenticate(key.secret.expose(), None, Request::made(&moment), moment.now());
            assert_eq!(present().unwrap_err().cause, Refusal::Unknown);
            assert_eq!(directory.refresh_changed(&elsewhere).unwrap(), std::slice::from_ref(&world.acme.tenant.id));
            assert!(present().is_ok());
            identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &moment).unwrap();
            directory.refresh_changed(&elsewhere).unwrap();
            assert_eq!(present().unwrap_err().cause, Refusal::Revoked);
            assert!(directory.refresh_changed(&elsewhere).unwrap().is_empty(), "nothing has changed since");
        }
    });
}

#[test]
fn a_user_deactivated_on_one_node_is_refused_on_another() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere, identity::unguarded()).unwrap();
        let status = Some(StatusChange::Deactivate(Leavers::new()));
        let change = UserChange { expected_revision: 1, status, ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        directory.refresh_changed(&elsewhere).unwrap();
        let moment = tester.moment();
        let refused = directory.authenticate(key.secret.expose(), None, Request::made(&moment), moment.now());
        assert_eq!(refused.unwrap_err().cause, Refusal::Deactivated);
    });
}

#[test]
fn a_tenant_made_on_one_node_is_known_on_another() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere, identity::unguarded()).unwrap();
        let (globex, _) = world.globex();
        assert!(directory.refresh_changed(&elsewhere).unwrap().contains(&globex.tenant.id));
        let moment = tester.moment();
        let hank =
            directory.authenticate(globex.key.secret.expose(), None, Request::made(&moment), moment.now()).unwrap();
        assert_eq!(hank.caller.tenant(), &globex.tenant.id);
        assert!(directory.tenant_settings(&globex.tenant.id).is_some());
    });
}

#[test]
fn two_administrators_cannot_dismiss_each_other_at_once() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let elsewhere = tester.second_node();
        let (mut admin, mut caller) = (world.acme.admin.clone(), world.bob.clone());
        for round in 0..5 {
            let other = world.user_of(&caller, &format!("admin-{round}"), [Role::Admin]);
            let other_caller = world.enter(&world.key_of(&caller, &other.id));
            let dismiss = |db: &store::Database, caller: &authz::Caller, user: &identity::User| {
                let status = Some(StatusChange::Deactivate(Leavers::new()));
                let change = UserChange { expected_revision: user.revision, status, ..UserChange::default() };
                identity::update_user(db, &tester.again(caller), &user.id, change, &tester.moment()).is_ok()
            };
            let (first, second) = std::thread::scope(|scope| {
                let first = scope.spawn(|| dismiss(&tester.db, &caller, &other));
                let second = scope.spawn(|| dismiss(&elsewhere, &other_caller, &admin));
                (first.join().unwrap(), second.join().unwrap())
            });
            assert!(first != second, "one is dismissed, the other stays");
            if second {
                (admin, caller) = (other, other_caller);
            }
        }
    });
}

#[test]
fn a_name_asked_for_on_two_nodes_at_once_is_given_once() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let elsewhere = tester.second_node();
        for round in 0..5 {
            let new = new_user(&format!("user-{round}"), [Role::Viewer]);
            let create = |db| identity::create_user(db, &tester.again(&world.bob), new.clone(), &tester.moment());
            let answers = std::thread::scope(|scope| {
                let (here, there) = (scope.spawn(|| create(&tester.db)), scope.spawn(|| create(&elsewhere)));
                [here.join().unwrap(), there.join().unwrap()]
            });
            let taken = |answer: &&Result<_, _>| matches!(answer, Err(CreateUserError::UsernameTaken(_)));
            assert_eq!(answers.iter().filter(taken).count(), 1);
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        }
    });
}

#[test]
fn a_good_key_is_let_in_at_every_moment_of_a_rebuild() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        world.enter(&key);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let moment = tester.moment();
                let request = Request::made(&moment);
                let mut asked = 0;
                while asked == 0 || !done.load(std::sync::atomic::Ordering::Relaxed) {
                    world.directory.authenticate(key.secret.expose(), None, request.clone(), moment.now()).unwrap();
                    asked += 1;
                }
            });
            for _ in 0..50 {
                world.directory.refresh(&tester.db, &world.acme.tenant.id).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().unwrap();
        });
    });
}

#[test]
fn tokens_and_sessions_that_end_on_one_node_are_refused_on_another_after_its_next_look() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), identity::Gate::default());
        let olivia = world.user("olivia", [Role::Operator]);
        crate::sign_in::set(&world, &gate, &world.bob, &olivia.id, (crate::sign_in::PASSWORD, None)).unwrap();
        let caller = world.enter(&world.key(&olivia.id));
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere, identity::unguarded()).unwrap();
        let tokens = crate::idp::tokens();
        let verifier = Verifier { tokens: &tokens, directory: &directory, keys: &crate::idp::no_keys };
        let here = Verifier { directory: &world.directory, ..verifier };
        for trial in 0..20 {
            let moment = tester.moment();
            let again = tester.again(&caller);
            let token = identity::issue_token(&tester.db, &tokens, &again, NewToken::default(), &moment).unwrap();
            let session =
                crate::sign_in::sign_in(&world, &gate, ("acme-corp", "olivia", crate::sign_in::PASSWORD)).unwrap();
            let present = || {
                let bearer = Bearer { token: token.token.expose(), from: None, tenant: None, now: moment.now() };
                verifier.authenticate(bearer, Request::made(&moment)).map(drop).map_err(|error| error.cause)
            };
            let enter = || {
                let text = session.secret.expose();
                let request = Request::made(&moment);
                identity::authenticate_session(&elsewhere, &directory, text, request, moment.now()).is_ok()
            };
            directory.refresh_changed(&elsewhere).unwrap();
            assert!(present().is_ok() && enter(), "made here, good there");
            let ended = if trial % 2 == 0 {
                let revoked = identity::TokenRef::Token(token.token.expose());
                identity::revoke_token(&tester.db, &here, &tester.again(&caller), revoked, &moment).unwrap();
                identity::end_session(&tester.db, &tester.again(&world.bob), &session.session.id, &moment).unwrap();
                assert!(!enter(), "a session is over at once");
                TokenRefusal::Revoked
            } else {
                identity::sign_out_everywhere(&tester.db, &tester.again(&world.bob), &olivia.id, &moment).unwrap();
                TokenRefusal::Epoch
            };
            directory.refresh_changed(&elsewhere).unwrap();
            assert_eq!(present(), Err(ended.into()));
            assert!(!enter());
        }
    });
}
