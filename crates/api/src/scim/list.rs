//! Lists of resources, and what they are filtered by (RFC 7644, 3.4.2).

use axum::extract::FromRequestParts;
use http::request::Parts;
use identity::{Counted, Members, PeopleFilter, Slice, TeamFilter, User, UserStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::expression::{Comparison, Filter};
use super::fields::flag;
use super::refusal::ScimType;
use super::schema::{MOST_RESULTS, Resource, Schema};
use super::select::Selection;
use super::team::member_named;
use super::view::{Base, MEDIA_TYPE, Provisioned, View, names};
use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;
use crate::wire::Show;

const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// How many resources an answer holds unless asked.
const USUAL_RESULTS: u32 = 100;

/// Which resources are asked for, and what of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// What must hold: comparisons with `eq`, joined by `and`.
    #[param(example = "userName eq \"alice\"")]
    filter: Option<String>,
    /// Where the answer starts, from 1.
    #[param(minimum = 1)]
    start_index: Option<i64>,
    /// How many resources it holds, at most 1000; 100 unless given.
    #[param(minimum = 0, maximum = 1000)]
    count: Option<i64>,
    /// Only these attributes, by name, with commas between them; the id is always shown.
    attributes: Option<String>,
    /// All attributes but these.
    excluded_attributes: Option<String>,
    /// Read and left aside: lists are sorted by age.
    #[expect(dead_code, reason = "some clients send it")]
    sort_by: Option<String>,
    /// Read and left aside.
    #[expect(dead_code, reason = "some clients send it")]
    sort_order: Option<String>,
}

/// A query that is sent as a body (RFC 7644, 3.4.3).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ScimSearchIn {
    /// `urn:ietf:params:scim:api:messages:2.0:SearchRequest`.
    schemas: Vec<String>,
    /// What must hold: comparisons with `eq`, joined by `and`.
    filter: Option<String>,
    /// Where the answer starts, from 1.
    start_index: Option<i64>,
    /// How many resources it holds, at most 1000; 100 unless given.
    count: Option<i64>,
    /// Only these attributes, by name; the id is always shown.
    #[serde(default)]
    attributes: Vec<String>,
    /// All attributes but these.
    #[serde(default)]
    excluded_attributes: Vec<String>,
    /// Read and left aside: lists are sorted by age.
    #[expect(dead_code, reason = "some clients send it")]
    sort_by: Option<String>,
    /// Read and left aside.
    #[expect(dead_code, reason = "some clients send it")]
    sort_order: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimListOut<T> {
    /// `urn:ietf:params:scim:api:messages:2.0:ListResponse`.
    schemas: [&'static str; 1],
    /// How many there are in all.
    total_results: u64,
    /// Where this part starts, from 1.
    start_index: u64,
    /// How many it holds.
    items_per_page: usize,
    /// The resources.
    #[serde(rename = "Resources")]
    resources: Vec<T>,
}

impl ScimListOut<Value> {
    /// A list in whole.
    pub(super) fn whole(resources: Vec<Value>) -> Value {
        let total = u64::try_from(resources.len()).unwrap_or_default();
        Self::part(resources, total, 1)
    }

    fn part(resources: Vec<Value>, total_results: u64, start_index: u64) -> Value {
        let items_per_page = resources.len();
        let list = Self { schemas: [LIST_RESPONSE], total_results, start_index, items_per_page, resources };
        serde_json::to_value(list).unwrap_or_default()
    }
}

/// Which resources are asked for, and how they are shown.
#[derive(Debug)]
pub(super) struct Asked {
    /// What must hold.
    pub(super) filter: Filter,
    /// Which part of the list.
    pub(super) slice: Slice,
    /// How they are shown.
    pub(super) view: View,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let base = Base::from_request_parts(parts, app).await?;
        let Query(query) = Query::<ListQuery>::from_request_parts(parts, app).await?;
        let ListQuery { filter, start_index, count, attributes, excluded_attributes, sort_by: _, sort_order: _ } =
            query;
        let selection = Selection::read(&names(attributes), &names(excluded_attributes))?;
        Self::new(filter.as_deref(), (start_index, count), View { base, selection })
    }
}

impl Asked {
    fn new(filter: Option<&str>, (start, count): (Option<i64>, Option<i64>), view: View) -> Result<Self, Problem> {
        let filter = filter.map_or(Ok(Filter(Vec::new())), Filter::parse);
        let filter = filter.map_err(|error| ScimType::InvalidFilter.because(&error))?;
        // RFC 7644 has numbers that are too small mean the smallest, and the server bound the largest.
        let skip = start.unwrap_or(1).clamp(1, i64::from(u32::MAX)) - 1;
        let limit = count.unwrap_or(i64::from(USUAL_RESULTS)).clamp(0, i64::from(MOST_RESULTS));
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self { filter, slice: Slice { skip: number(skip), limit: number(limit) }, view })
    }

    /// What is asked for with a body.
    pub(super) fn searched(search: ScimSearchIn, base: Base) -> Result<Self, Problem> {
        let ScimSearchIn { schemas, filter, start_index, count, attributes, excluded_attributes, .. } = search;
        let wanted = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
        if !schemas.iter().any(|schema| schema.eq_ignore_ascii_case(wanted)) {
            return Err(ScimType::InvalidSyntax.because(&format_args!("`schemas` must name `{wanted}`")));
        }
        let selection = Selection::read(&attributes, &excluded_attributes)?;
        Self::new(filter.as_deref(), (start_index, count), View { base, selection })
    }

    /// Which people and which groups are meant: `None` where none can be.
    pub(super) fn filters(&self) -> Result<(Option<PeopleFilter>, Option<TeamFilter>), Problem> {
        match (people(&self.filter), teams(&self.filter)) {
            (Err(problem), Err(_)) => Err(problem),
            (people, teams) => Ok((people.unwrap_or_default(), teams.unwrap_or_default())),
        }
    }

    /// Which groups come after the people.
    pub(super) fn after(&self, people: &Counted<User>) -> Slice {
        let Slice { skip, limit } = self.slice;
        let shown = u32::try_from(people.items.len()).unwrap_or(u32::MAX);
        let total = u32::try_from(people.total).unwrap_or(u32::MAX);
        Slice { skip: skip.saturating_sub(total), limit: limit.saturating_sub(shown) }
    }

    /// The answer that holds people, and groups after them.
    pub(super) fn both(self, people: Counted<User>, teams: &Counted<Members>) -> Listed {
        let groups = teams.items.iter().map(|team| team.out(&self.view)).collect::<Vec<_>>();
        let listed = self.listed(people);
        let resources = listed.resources.into_iter().chain(groups).collect();
        Listed { resources, total: listed.total + teams.total, start: listed.start }
    }

    /// The answer that holds `found`.
    pub(super) fn listed<T: Provisioned>(self, found: Counted<T>) -> Listed {
        let Counted { items, total } = found;
        let resources = items.iter().map(|item| item.out(&self.view)).collect();
        Listed { resources, total, start: u64::from(self.slice.skip) + 1 }
    }
}

/// A part of a list on its way to a client.
#[derive(Debug)]
pub(super) struct Listed {
    /// The resources, as they are shown.
    pub(super) resources: Vec<Value>,
    /// How many there are in all.
    pub(super) total: u64,
    /// Where the part starts, from 1.
    pub(super) start: u64,
}

impl Show for Listed {
    type Out = Value;

    const MEDIA_TYPE: &'static str = MEDIA_TYPE;

    fn show(&self) -> Value {
        ScimListOut::part(self.resources.clone(), self.total, self.start)
    }
}

/// People for whom all of a filter holds; `None` where it holds for nobody.
pub(super) fn people(Filter(all): &Filter) -> Result<Option<PeopleFilter>, Problem> {
    let mut people = PeopleFilter::default();
    for comparison in all {
        if !narrow_people(&mut people, comparison)? {
            return Ok(None);
        }
    }
    Ok(Some(people))
}

/// Groups for which all of a filter holds; `None` where it holds for none.
pub(super) fn teams(Filter(all): &Filter) -> Result<Option<TeamFilter>, Problem> {
    let mut teams = TeamFilter::default();
    for comparison in all {
        if !narrow_teams(&mut teams, comparison)? {
            return Ok(None);
        }
    }
    Ok(Some(teams))
}

/// Whether anybody can be left.
fn narrow_people(people: &mut PeopleFilter, comparison: &Comparison) -> Result<bool, Problem> {
    let Comparison { place, value } = comparison;
    let unknown = || Err(not_filtered_by("people", comparison));
    if place.schema.is_some_and(|schema| schema != Schema::User) {
        return unknown();
    }
    let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(match (place.attribute.as_str(), place.part.as_deref(), &place.only) {
        ("id", None, None) => also(&mut people.id, text.parse().ok()),
        ("username", None, None) => also(&mut people.username, text.to_lowercase().parse().ok()),
        ("displayname", None, None) => also(&mut people.display_name, said(text)),
        ("externalid", None, None) => also(&mut people.external_id, text.parse().ok()),
        ("active", None, None) => also(&mut people.status, value.as_ref().and_then(flag).map(status)),
        ("emails", None | Some("value"), None) => also(&mut people.email, text.parse().ok()),
        ("emails", None | Some("value"), Some(Filter(only))) => {
            let own = value.as_ref().is_none_or(|_| also(&mut people.email, text.parse().ok()));
            own && narrow_by_emails(people, only)?
        }
        ("emails", Some("type"), None) => text.eq_ignore_ascii_case("work"),
        ("meta", Some("resourcetype"), None) => text == Resource::User.name(),
        _ => return unknown(),
    })
}

fn narrow_by_emails(people: &mut PeopleFilter, only: &[Comparison]) -> Result<bool, Problem> {
    for comparison in only {
        let text = comparison.value.as_ref().and_then(Value::as_str).unwrap_or_default();
        let left = match comparison.place.attribute.as_str() {
            "type" => text.eq_ignore_ascii_case("work"),
            "primary" => comparison.value.as_ref().and_then(flag) == Some(true),
            "value" => also(&mut people.email, text.parse().ok()),
            _ => return Err(not_filtered_by("addresses", comparison)),
        };
        if !left {
            return Ok(false);
        }
    }
    Ok(true)
}

fn narrow_teams(teams: &mut TeamFilter, comparison: &Comparison) -> Result<bool, Problem> {
    let Comparison { place, value } = comparison;
    let unknown = || Err(not_filtered_by("groups", comparison));
    if place.schema.is_some_and(|schema| schema != Schema::Group) {
        return unknown();
    }
    let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(match (place.attribute.as_str(), place.part.as_deref(), &place.only) {
        ("id", None, None) => also(&mut teams.id, text.parse().ok()),
        ("displayname", None, None) => also(&mut teams.display_name, said(text)),
        ("externalid", None, None) => also(&mut teams.external_id, text.parse().ok()),
        ("members", None | Some("value"), None) => also(&mut teams.member, text.parse().ok()),
        ("members", None, Some(only)) if value.is_none() => also(&mut teams.member, member_named(only)?.parse().ok()),
        ("meta", Some("resourcetype"), None) => text == Resource::Group.name(),
        _ => return unknown(),
    })
}

/// Whether anything can be left when this, too, must be `value`. What has not the form of such a value is nobody's.
fn also<T: PartialEq>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let left = value.is_some() && slot.as_ref().is_none_or(|before| Some(before) == value.as_ref());
    if left {
        *slot = value;
    }
    left
}

fn said(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

const fn status(active: bool) -> UserStatus {
    if active { UserStatus::Active } else { UserStatus::Deactivated }
}

fn not_filtered_by(what: &str, Comparison { place, value: _ }: &Comparison) -> Problem {
    ScimType::InvalidFilter.because(&format_args!("{what} cannot be filtered by `{place}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let filter = Filter::parse(text).unwrap();
        let some = |found: Result<Option<String>, Problem>| match found {
            Ok(Some(filter)) => filter,
            Ok(None) => "nobody".to_owned(),
            Err(problem) => problem.detail().unwrap_or_default().to_owned(),
        };
        let people = some(people(&filter).map(|found| {
            found.map(|found| {
                let PeopleFilter { id, username, display_name, email, external_id, status } = found;
                let texts = [id.map(|id| id.to_string()), username.map(|name| name.to_string()), display_name];
                let more = [email.map(|email| email.to_string()), external_id.map(|id| id.to_string())];
                let status = [status.map(|status| status.to_string())];
                texts.into_iter().chain(more).chain(status).flatten().collect::<Vec<_>>().join(",")
            })
        }));
        let teams = some(teams(&filter).map(|found| {
            found.map(|found| {
                let TeamFilter { id, display_name, external_id, member } = found;
                let texts = [id.map(|id| id.to_string()), display_name, external_id.map(|id| id.to_string())];
                texts.into_iter().chain([member.map(|id| id.to_string())]).flatten().collect::<Vec<_>>().join(",")
            })
        }));
        format!("{people} | {teams}")
    }

    #[test]
    fn a_filter_becomes_what_is_asked_of_the_database() {
        let id = "usr_00000000000070008000000000000000";
        let filters = [
            r#"userName eq "ALICE" and active eq true"#.to_owned(),
            r#"externalId eq "e-1""#.to_owned(),
            format!("id eq \"{id}\""),
            r#"id eq "x""#.to_owned(),
            r#"emails.value eq "a@example.com" and emails eq "A@example.com""#.to_owned(),
            r#"emails[type eq "work"].value eq "a@example.com""#.to_owned(),
            r#"emails[type eq "home"].value eq "a@example.com""#.to_owned(),
            r#"emails[type eq "work" and value eq "a@example.com" and primary eq true]"#.to_owned(),
            r#"displayName eq "Engineers" and meta.resourceType eq "Group""#.to_owned(),
            format!("members[value eq \"{id}\"]"),
            format!("members eq \"{id}\""),
            r#"userName eq "a" and userName eq "b""#.to_owned(),
            r#"userName eq """#.to_owned(),
            r#"title eq "Boss""#.to_owned(),
            r#"urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "E""#.to_owned(),
        ];
        insta::assert_snapshot!(filters.map(|text| shown(&text)).join("\n"), @"
        alice,active | groups cannot be filtered by `username`
        e-1 | e-1
        usr_00000000000070008000000000000000 | nobody
        nobody | nobody
        nobody | groups cannot be filtered by `emails.value`
        a@example.com | groups cannot be filtered by `emails.value`
        nobody | groups cannot be filtered by `emails.value`
        a@example.com | groups cannot be filtered by `emails`
        nobody | Engineers
        people cannot be filtered by `members` | usr_00000000000070008000000000000000
        people cannot be filtered by `members` | usr_00000000000070008000000000000000
        nobody | groups cannot be filtered by `username`
        nobody | groups cannot be filtered by `username`
        people cannot be filtered by `title` | groups cannot be filtered by `title`
        people cannot be filtered by `urn:ietf:params:scim:schemas:core:2.0:Group:displayname` | E
        ");
    }
}
