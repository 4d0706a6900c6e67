//! The way to a connection: the address is checked as text, its name is looked up, and what that gives is checked too.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use crate::address::is_public;
use crate::target::{Reach, Refusal};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Promise<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Lets only those connections begin whose address may be reached: literal addresses are never looked up, so they are
/// checked here.
#[derive(Clone, Debug)]
pub(crate) struct Guard<C> {
    pub(crate) connector: C,
    pub(crate) reach: Reach,
}

impl<C> Service<Uri> for Guard<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Promise<C::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(ready!(self.connector.poll_ready(context)).map_err(Into::into))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Err(refusal) = self.reach.check(&uri) {
            return Box::pin(async move { Err(refusal.into()) });
        }
        let connecting = self.connector.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// Looks names up, and drops addresses that may not be reached: after the look-up and before the connection, every
/// time, so that a name that changes its mind leads nowhere.
#[derive(Clone, Debug)]
pub(crate) struct Resolver<L> {
    pub(crate) lookup: L,
    pub(crate) reach: Reach,
}

impl<L> Service<Name> for Resolver<L>
where
    L: Service<Name>,
    L::Response: Iterator<Item = SocketAddr>,
    L::Error: Into<BoxError>,
    L::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Promise<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(ready!(self.lookup.poll_ready(context)).map_err(Into::into))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (lookup, reach) = (self.lookup.call(name), self.reach);
        Box::pin(async move {
            let all = lookup.await.map_err(Into::into)?;
            let kept: Vec<_> = all.filter(|found| reach == Reach::Private || is_public(found.ip())).collect();
            if kept.is_empty() { Err(Refusal::Private.into()) } else { Ok(kept.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use hyper_util::client::legacy::connect::HttpConnector;
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    /// Counts connections, and makes none.
    #[derive(Clone, Default)]
    struct Counter(Arc<AtomicUsize>);

    impl Service<Uri> for Counter {
        type Response = ();
        type Error = Infallible;
        type Future = Ready<Result<(), Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            self.0.fetch_add(1, Ordering::Relaxed);
            ready(Ok(()))
        }
    }

    /// A DNS server's answers, one after the other.
    #[derive(Clone)]
    struct Answers(Arc<Mutex<VecDeque<Vec<SocketAddr>>>>);

    impl Answers {
        fn new(answers: &[&[&str]]) -> Self {
            let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
            Self(Arc::new(Mutex::new(answers.iter().map(parsed).collect())))
        }
    }

    impl Service<Name> for Answers {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            ready(Ok(self.0.lock().unwrap().pop_front().unwrap().into_iter()))
        }
    }

    fn vectors() -> Option<Value> {
        let file = testkit::shared("vectors/taskforce-ssrf/urls.json")?;
        Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
    }

    /// Whether a public request to `url` would be connected.
    async fn connects(url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let counter = Counter::default();
        let done = Guard { connector: counter.clone(), reach: Reach::Public }.call(uri).await;
        assert_eq!(counter.0.load(Ordering::Relaxed), usize::from(done.is_ok()), "{url}");
        done.is_ok()
    }

    #[tokio::test]
    async fn every_url_of_the_corpus_is_decided_right_and_no_denied_one_connects() {
        let Some(vectors) = vectors() else { return };
        let mut decided = (0, 0);
        for case in vectors["static"].as_array().unwrap() {
            let (url, allow) = (case["url"].as_str().unwrap(), case["verdict"] == "allow");
            assert_eq!(connects(url).await, allow, "{case}");
            // That it is not encrypted must not be the only thing wrong with it.
            assert_eq!(connects(&url.replacen("http://", "https://", 1)).await, allow, "{case}");
            decided = if allow { (decided.0, decided.1 + 1) } else { (decided.0 + 1, decided.1) };
        }
        assert_eq!(decided, (72, 3));
    }

    /// The answers of which connections are made to, look-up by look-up.
    async fn kept(answers: &[&[&str]]) -> Vec<Vec<String>> {
        let mut resolver = Resolver { lookup: Answers::new(answers), reach: Reach::Public };
        let mut kept = Vec::new();
        for _ in answers {
            let found = resolver.call("example.org".parse().unwrap()).await;
            kept.push(found.map_or_else(|_| Vec::new(), |found| found.map(|address| address.to_string()).collect()));
        }
        kept
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_is_not_followed_inside() {
        assert_eq!(kept(&[&["93.184.215.14:0"], &["127.0.0.1:0"]]).await, [vec!["93.184.215.14:0"], vec![]]);
    }

    #[tokio::test]
    async fn of_several_addresses_only_the_public_ones_are_used() {
        assert_eq!(kept(&[&["93.184.215.14:0", "[::1]:0"]]).await, [["93.184.215.14:0"]]);
        assert_eq!(kept(&[&["10.0.0.1:0", "93.184.215.14:0"]]).await, [["93.184.215.14:0"]]);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_opens_no_connection_to_it() {
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = trap.local_addr().unwrap().to_string();
        let connect = async |reach| {
            let lookup = Answers::new(&[&[&address]]);
            let mut http = HttpConnector::new_with_resolver(Resolver { lookup, reach });
            http.enforce_http(false);
            Guard { connector: http, reach }.call(Uri::from_static("https://alias.example.org/")).await.map(drop)
        };
        assert!(connect(Reach::Public).await.is_err());
        // The trap works: with permission, the same name and answer do reach it. It is the first that does.
        connect(Reach::Private).await.unwrap();
        trap.accept().await.unwrap();
        let another = std::future::poll_fn(|context| Poll::Ready(trap.poll_accept(context).is_ready())).await;
        assert!(!another);
    }

    /// Each behaviour of the corpus, and the test that plays it.
    const PLAYED: [(&str, &str); 12] = [
        ("rebinding", "a_name_that_changes_its_mind_is_not_followed_inside"),
        ("A record public + AAAA ::1", "of_several_addresses_only_the_public_ones_are_used"),
        ("multi-answer", "of_several_addresses_only_the_public_ones_are_used"),
        ("302 from a public host", "a_redirect_is_handed_back_and_not_followed"),
        ("307 chain", "a_redirect_is_handed_back_and_not_followed"),
        ("https -> http downgrade", "a_redirect_is_handed_back_and_not_followed"),
        ("redirect that carries Authorization", "a_redirect_is_handed_back_and_not_followed"),
        ("response never ends", "an_answer_that_never_ends_is_cut_at_the_deadline"),
        ("response body 10 GB", "a_body_beyond_the_limit_is_cut"),
        ("gzip bomb", "a_compressed_answer_is_refused"),
        ("HTTP_PROXY", "a_proxy_that_the_environment_names_is_not_used"),
        ("CNAME to localhost", "a_name_that_leads_to_this_machine_opens_no_connection_to_it"),
    ];

    #[test]
    fn every_behaviour_of_the_corpus_is_played_by_a_test() {
        let Some(vectors) = vectors() else { return };
        let names: Vec<&str> =
            vectors["dynamic"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap()).collect();
        assert!(names.len() == PLAYED.len());
        assert!(names.iter().zip(PLAYED).all(|(name, (beginning, _))| name.starts_with(beginning)), "{names:?}");
        let source = concat!(include_str!("connect.rs"), include_str!("../tests/it/main.rs"));
        let tests: BTreeSet<&str> = source.split("async fn ").filter_map(|rest| rest.split('(').next()).collect();
        assert!(PLAYED.iter().all(|(_, test)| tests.contains(test)));
    }
}
