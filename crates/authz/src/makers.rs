//! Who made a credential.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The actors that have held a credential besides the one that it is for: who made it, and who had made what it was made
/// with. Sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Makers(Option<Arc<str>>);

impl Makers {
    /// These and one more.
    #[must_use]
    pub fn and(&self, id: &str) -> Self {
        self.iter().chain([id]).collect()
    }

    /// These but one.
    #[must_use]
    pub fn but(&self, id: &str) -> Self {
        self.iter().filter(|maker| *maker != id).collect()
    }

    /// Their ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|makers| makers.split(','))
    }
}

impl<'a> FromIterator<&'a str> for Makers {
    fn from_iter<I: IntoIterator<Item = &'a str>>(makers: I) -> Self {
        let makers: BTreeSet<&str> = makers.into_iter().filter(|id| !id.is_empty()).collect();
        let makers: Vec<&str> = makers.into_iter().collect();
        Self((!makers.is_empty()).then(|| makers.join(",").into()))
    }
}

/// Ids separated by commas, as the database keeps them.
impl fmt::Display for Makers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or_default())
    }
}

impl FromStr for Makers {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.split(',').collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_kept_once_and_survive_their_text() {
        let makers: Makers = ["usr_2", "cli", "usr_2"].into_iter().collect();
        assert_eq!(makers.to_string(), "cli,usr_2");
        assert_eq!(makers.to_string().parse(), Ok(makers.clone()));
        assert_eq!(makers.and("usr_1").iter().collect::<Vec<_>>(), ["cli", "usr_1", "usr_2"]);
        assert_eq!(makers.but("cli").but("usr_2"), Makers::default());
        assert_eq!("".parse(), Ok(Makers::default()));
        assert_eq!(Makers::default().iter().count(), 0);
    }
}
