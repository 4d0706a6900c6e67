//! Lists: filters, order, and pages that fit together.

use authz::{Permission, Role};
use identity::{Direction, GroupFilter, ListError, NewUser, UserFilter, UserKind, UserSort, UserStatus};
use kernel::{PageSize, Text};

use crate::world::{World, new_user};

/// Every username that the filter lets through, read in pages of two.
fn names(world: &World<'_>, filter: &UserFilter) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let size = PageSize::new(2).unwrap();
        let page = identity::users(&world.tester.db, &world.bob, filter, next.as_ref(), size).unwrap();
        names.extend(page.items.iter().map(|user| user.username.to_string()));
        // A cursor goes out to the client and comes back as text.
        next = page.next.map(|cursor| cursor.to_string().parse().unwrap());
        if next.is_none() {
            return names;
        }
    }
}

fn inhabited(tester: &testkit::Tester) -> World<'_> {
    let world = World::new(tester);
    for name in ["carol", "alice", "dave+ci@example.com", "dan_1", "danx1"] {
        tester.clock.advance_micros(1_000);
        world.user(name, if name == "carol" { [Role::Operator] } else { [Role::Viewer] });
    }
    world
}

#[test]
fn users_come_in_either_order_of_either_sort() {
    testkit::on_both_engines(|tester| {
        let world = inhabited(tester);
        let sorted = |sort, direction| names(&world, &UserFilter { sort, direction, ..UserFilter::default() });
        let by_age = ["bob", "carol", "alice", "dave+ci@example.com", "dan_1", "danx1"];
        assert_eq!(sorted(UserSort::CreatedAt, Direction::Ascending), by_age);
        assert_eq!(
            sorted(UserSort::CreatedAt, Direction::Descending),
            by_age.iter().rev().copied().collect::<Vec<_>>()
        );
        let by_name = ["alice", "bob", "carol", "dan_1", "danx1", "dave+ci@example.com"];
        assert_eq!(sorted(UserSort::Username, Direction::Ascending), by_name);
        assert_eq!(
            sorted(UserSort::Username, Direction::Descending),
            by_name.iter().rev().copied().collect::<Vec<_>>()
        );
    });
}

#[test]
fn filters_let_through_exactly_what_they_name() {
    testkit::on_both_engines(|tester| {
        let world = inhabited(tester);
        let service = NewUser {
            kind: UserKind::Service,
            email: Some("CI@Example.com".parse().unwrap()),
            external_id: Some("00u1".parse().unwrap()),
            ..new_user("robot", [])
        };
        identity::create_user(&tester.db, &tester.again(&world.bob), service, &tester.moment()).unwrap();
        world.role("agent-designer", [Permission::AgentRead]);
        world.user("alike", "agent-designer".parse::<authz::Roles>().unwrap());
        let carol = world.user("carl", []);
        world.group("Operators", [Role::Operator], &[&carol.id]);
        let found = |filter: UserFilter| names(&world, &UserFilter { sort: UserSort::Username, ..filter });
        let all = UserFilter::default;

        assert_eq!(found(UserFilter { kind: Some(UserKind::Service), ..all() }), ["robot"]);
        assert_eq!(found(UserFilter { status: Some(UserStatus::Deactivated), ..all() }), [""; 0]);
        assert_eq!(found(UserFilter { role: Some(Role::Operator.into()), ..all() }), ["carl", "carol"]);
        assert_eq!(
            found(UserFilter { role: Some(Role::AgentDesigner.into()), ..all() }),
            [""; 0],
            "`_` is no wildcard"
        );
        assert_eq!(found(UserFilter { username: Some("carol".parse().unwrap()), ..all() }), ["carol"]);
        assert_eq!(found(UserFilter { email: Some("ci@example.COM".parse().unwrap()), ..all() }), ["robot"]);
        assert_eq!(found(UserFilter { external_id: Some("00u1".parse().unwrap()), ..all() }), ["robot"]);
        let q = |q: &str| found(UserFilter { q: Some(q.parse().unwrap()), ..all() });
        assert_eq!(q("Dan"), ["dan_1", "danx1"]);
        assert_eq!(q("dan_"), ["dan_1"]);
        assert_eq!(q("ci@"), ["robot"]);
        assert_eq!(q("%"), [""; 0]);
        assert_eq!(q("' OR 1=1 --"), [""; 0]);
    });
}

#[test]
fn a_cursor_of_another_list_order_or_filter_is_refused() {
    testkit::on_both_engines(|tester| {
        let world = inhabited(tester);
        world.role("one", []);
        world.role("two", []);
        let one = PageSize::new(1).unwrap();
        let list = |filter: &UserFilter, after| identity::users(&tester.db, &world.bob, filter, after, one);
        let cursor = list(&UserFilter::default(), None).unwrap().next.unwrap();
        let roles = identity::roles(&tester.db, &world.bob, None, None, one).unwrap().next.unwrap();
        let descending = UserFilter { direction: Direction::Descending, ..UserFilter::default() };
        let by_name = UserFilter { sort: UserSort::Username, ..UserFilter::default() };
        let foreign = "usr_1".parse().unwrap();
        let active = UserFilter { status: Some(UserStatus::Active), ..UserFilter::default() };
        for (filter, cursor) in [
            (&descending, &cursor),
            (&by_name, &cursor),
            (&active, &cursor),
            (&UserFilter::default(), &roles),
            (&UserFilter::default(), &foreign),
        ] {
            assert!(matches!(list(filter, Some(cursor)), Err(ListError::ForeignCursor)), "{cursor} {filter:?}");
        }
        assert!(list(&UserFilter::default(), Some(&cursor)).is_ok());
        let foreign = identity::groups(&tester.db, &world.bob, &GroupFilter::default(), Some(&cursor), one);
        assert!(matches!(foreign, Err(ListError::ForeignCursor)));
    });
}

#[test]
fn roles_and_groups_come_by_name() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for name in ["writers", "readers", "release-managers"] {
            world.role(name, []);
            world.group(&format!("The {name} of Ämter"), [], &[]);
        }
        let (db, bob, one) = (&tester.db, &world.bob, PageSize::new(1).unwrap());
        let first = identity::roles(db, bob, None, None, one).unwrap();
        let rest = identity::roles(db, bob, None, first.next.as_ref(), PageSize::default()).unwrap();
        let names: Vec<_> = first.items.iter().chain(&rest.items).map(|role| role.name.to_string()).collect();
        assert_eq!(names, ["readers", "release-managers", "writers"]);
        let q: Text<100> = "Re".parse().unwrap();
        assert_eq!(identity::roles(db, bob, Some(&q), None, PageSize::default()).unwrap().items.len(), 2);

        let first = identity::groups(db, bob, &GroupFilter::default(), None, one).unwrap();
        let rest =
            identity::groups(db, bob, &GroupFilter::default(), first.next.as_ref(), PageSize::default()).unwrap();
        let names: Vec<_> = first.items.iter().chain(&rest.items).map(|group| group.display_name.to_string()).collect();
        assert_eq!(names, ["The readers of Ämter", "The release-managers of Ämter", "The writers of Ämter"]);
        let found = |filter| identity::groups(db, bob, &filter, None, one).unwrap().items.len();
        let q = |q: &str| GroupFilter { q: Some(q.parse().unwrap()), ..GroupFilter::default() };
        assert_eq!((found(q("The wr")), found(q("the wr")), found(q("%"))), (1, 0, 0));
        let name = |name: &str| GroupFilter { display_name: Some(name.parse().unwrap()), ..GroupFilter::default() };
        assert_eq!((found(name("The readers of Ämter")), found(name("The readers"))), (1, 0));
    });
}
