//! Several nodes on one database.

use authz::{Request, Role};
use identity::{Directory, EmailChange, Refusal, UserChange, UserStatus};

use crate::world::World;

#[test]
fn a_key_revoked_on_one_node_is_refused_on_another_after_its_next_look() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere).unwrap();
        for _ in 0..20 {
            let key = world.key(&olivia.id);
            let moment = tester.moment();
            let present = || directory.authenticate(key.secret.expose(), Request::new(moment.id()), moment.now());
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
        let directory = Directory::load(&elsewhere).unwrap();
        let status = Some(UserStatus::Deactivated);
        let change = UserChange { expected_revision: 1, roles: None, email: EmailChange::Keep, status };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        directory.refresh_changed(&elsewhere).unwrap();
        let moment = tester.moment();
        let refused = directory.authenticate(key.secret.expose(), Request::new(moment.id()), moment.now());
        assert_eq!(refused.unwrap_err().cause, Refusal::Deactivated);
    });
}

#[test]
fn a_tenant_made_on_one_node_is_known_on_another() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let elsewhere = tester.second_node();
        let directory = Directory::load(&elsewhere).unwrap();
        let (globex, _) = world.globex();
        assert!(directory.refresh_changed(&elsewhere).unwrap().contains(&globex.tenant.id));
        let moment = tester.moment();
        let hank = directory.authenticate(globex.key.secret.expose(), Request::new(moment.id()), moment.now()).unwrap();
        assert_eq!(hank.caller.tenant(), &globex.tenant.id);
        assert!(directory.tenant_settings(&globex.tenant.id).is_some());
    });
}
