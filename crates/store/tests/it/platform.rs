//! Writes from outside a tenant, and what every tenant has from its first moment.

use std::sync::Arc;

use authz::Role;
use kernel::TenantId;
use parking_lot::Mutex;
use store::{Entry, Reason, Resource, StoreError, WriteTx, sql, values};
use testkit::{Tester, on_both_engines};

use crate::given::{Touch, entry, share, size, touch, two_tenants, verified};

fn create(
    t: &Tester,
    tenant: &TenantId,
    then: impl FnOnce(&mut WriteTx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    t.db.write_platform(t.platform().authorize::<Touch>().unwrap(), tenant, |tx| {
        tx.open_tenant()?;
        tx.execute(
            sql!(
                "INSERT INTO tenants (tenant_id, name, settings, status, created_at, revision)
                 VALUES ($1, 'New', '{}', 'active', 0, 1)"
            ),
            values![],
        )?;
        then(tx)?;
        Ok((Entry::new("test.created", Resource::new("tenant", tenant)), ()))
    })
}

#[test]
fn a_platform_write_changes_the_tenant_and_its_entry_goes_into_the_system_log() {
    on_both_engines(|t| {
        let platform = t.platform();
        let before = size(&t.db, &platform);
        create(t, &"acme-corp".parse().unwrap(), |_| Ok(())).unwrap();
        assert_eq!(verified(&t.db, &platform) as u64, before + 1);
        let alice = t.user("acme-corp", "alice", [Role::Admin]);
        assert_eq!(size(&t.db, &alice), 0, "the new tenant's own log is empty");
        touch(&t.db, &alice, "thg_1").unwrap();
    });
}

#[test]
fn a_tenant_whose_creation_was_undone_leaves_no_key_behind() {
    on_both_engines(|t| {
        let tenant: TenantId = "acme-corp".parse().unwrap();
        let place = ("things", "name", "thg_1");
        let undone = create(t, &tenant, |tx| {
            tx.seal(place, b"sealed under a key that will not be kept")?;
            Err(StoreError::Decode("right"))
        });
        assert!(undone.is_err());
        let sealed = Mutex::new(Vec::new());
        create(t, &tenant, |tx| {
            *sealed.lock() = tx.seal(place, b"kept")?;
            Ok(())
        })
        .unwrap();
        let alice = t.user("acme-corp", "alice", [Role::Admin]);
        for db in [&t.db, &t.second_node()] {
            let opened = db.read(&alice.authorize::<Touch>().unwrap(), |tx| tx.open(place, &sealed.lock()));
            assert_eq!(opened.unwrap(), b"kept");
        }
    });
}

#[test]
fn an_entry_of_another_tenants_caller_is_refused() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let foreign = share(&gina, 1).1;
        let outcomes = t.db.write_shares(vec![(alice.tenant().clone(), foreign)]);
        assert!(matches!(outcomes.as_slice(), [Err(StoreError::OtherTenant)]), "{outcomes:?}");
        assert_eq!((size(&t.db, &alice), size(&t.db, &gina)), (0, 0));
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the versions of all configurations are what is tested")]
fn a_configuration_gets_a_new_version_with_each_change_and_with_nothing_else() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
        let version = |caller: &authz::Caller| {
            let versions = t.db.system(Reason::Snapshot, |tx| tx.tenants()).unwrap();
            versions.into_iter().find(|(tenant, _)| tenant == caller.tenant()).expect("a tenant").1
        };
        let before = (version(&alice), version(&gina));
        touch(&t.db, &alice, "thg_1").unwrap();
        assert_eq!((version(&alice), version(&gina)), (before.0 + 1, before.1));
        t.db.write_shares(vec![share(&alice, 3)]).remove(0).unwrap();
        let failed =
            t.db.write(alice.authorize::<Touch>().unwrap(), |_| Err::<(Entry, ()), _>(StoreError::Decode("right")));
        assert!(failed.is_err());
        assert!(touch(&t.db, &alice, &"x".repeat(65_535)).is_err(), "which fails after the change itself");
        assert_eq!((version(&alice), version(&gina)), (before.0 + 1, before.1));
        let grant = t.platform().authorize::<Touch>().unwrap();
        t.db.write_platform(grant, gina.tenant(), |_| Ok::<_, StoreError>((entry("x"), ()))).unwrap();
        assert_eq!((version(&alice), version(&gina)), (before.0 + 1, before.1 + 1));
        t.db.write_data(t.again(&alice).authorize::<Touch>().unwrap(), |_| Ok::<_, StoreError>((entry("y"), ())))
            .unwrap();
        assert_eq!(version(&alice), before.0 + 1, "data is no configuration");
    });
}

#[test]
fn listeners_hear_of_changes_that_are_durable_and_of_no_others() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        t.db.on_change(move |tenant| ear.lock().push(tenant.to_string()));
        touch(&t.db, &alice, "thg_1").unwrap();
        let failed =
            t.db.write(gina.authorize::<Touch>().unwrap(), |_| Err::<(Entry, ()), _>(StoreError::Decode("right")));
        assert!(failed.is_err());
        t.db.write_data(gina.authorize::<Touch>().unwrap(), |_| Ok::<_, StoreError>((entry("thg_2"), ()))).unwrap();
        t.db.refuse_commits(true).unwrap();
        assert!(touch(&t.db, &gina, "thg_1").is_err());
        t.db.refuse_commits(false).unwrap();
        t.db.write_shares(vec![share(&gina, 1)]).remove(0).unwrap();
        assert_eq!(*heard.lock(), ["acme-corp"]);
    });
}
