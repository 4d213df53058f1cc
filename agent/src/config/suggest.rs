//! "Did you mean": the known word closest to an unknown one.

/// The candidate nearest to `word`, if it is near enough to be what was meant: at most one edit in
/// three letters, three in all; or else the only one that begins with it.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = word.chars().count();
    if length > LONGEST_WORD {
        return None;
    }
    let allowed = length.div_ceil(3).min(MOST_EDITS);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let nearest = candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits);
    if let Some((_, candidate)) = nearest {
        return Some(candidate);
    }
    let mut longer = candidates
        .iter()
        .filter(|candidate| candidate.starts_with(word));
    match (longer.next(), longer.next()) {
        (Some(candidate), None) if length >= SHORTEST_BEGINNING => Some(candidate),
        _ => None,
    }
}

/// Levenshtein distance: insertions, deletions and replacements of characters.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from_char) in from.chars().enumerate() {
        let mut above_left = index;
        let mut left = index.saturating_add(1);
        let mut next = vec![left];
        for (to_char, above) in to.iter().zip(row.iter().skip(1)) {
            let replaced = above_left.saturating_add(usize::from(from_char != *to_char));
            left = replaced
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            above_left = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

const LONGEST_WORD: usize = 64;
const SHORTEST_BEGINNING: usize = 3;
const MOST_EDITS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn closest_finds_typing_errors_and_no_more() {
        let words = ["leeway_seconds", "unsynchronized"];
        assert_eq!(closest("leeway_second", words), Some("leeway_seconds"));
        assert_eq!(closest("leaway_secnds", words), Some("leeway_seconds"));
        assert_eq!(closest("lifetime", words), None);
        assert_eq!(closest("leeway", words), Some("leeway_seconds"));
        assert_eq!(closest("max", ["max_windows", "max_consumers"]), None);
        assert_eq!(closest("x", ["y"]), Some("y"));
        assert_eq!(closest(&"l".repeat(100_000), words), None);
    }
}
