//! The difference between two texts, line by line.

/// Lists the lines of both texts. `-` marks a line that only the expected text has, `+` a line
/// that only the other text has, and two spaces mark a common line.
#[must_use]
pub fn difference(expected: &str, got: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let got: Vec<&str> = got.lines().collect();
    let common = common_lengths(&expected, &got);
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < expected.len() && column < got.len() {
        if expected[row] == got[column] {
            lines.push(format!("  {}", expected[row]));
            row += 1;
            column += 1;
        } else if common[row + 1][column] >= common[row][column + 1] {
            lines.push(format!("- {}", expected[row]));
            row += 1;
        } else {
            lines.push(format!("+ {}", got[column]));
            column += 1;
        }
    }
    lines.extend(expected[row..].iter().map(|line| format!("- {line}")));
    lines.extend(got[column..].iter().map(|line| format!("+ {line}")));
    lines.join("\n")
}

/// Returns lengths of longest common subsequences: at `[row][column]`, the number of lines for
/// `expected[row..]` and `got[column..]`.
///
/// The recurrence is the usual one: <https://en.wikipedia.org/wiki/Longest_common_subsequence>.
fn common_lengths(expected: &[&str], got: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; got.len() + 1]; expected.len() + 1];
    for row in (0..expected.len()).rev() {
        for column in (0..got.len()).rev() {
            lengths[row][column] = if expected[row] == got[column] {
                lengths[row + 1][column + 1] + 1
            } else {
                lengths[row + 1][column].max(lengths[row][column + 1])
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::difference;

    /// The most lines that two texts can have in common, found by trying all combinations.
    fn most_in_common(expected: &[&str], got: &[&str]) -> usize {
        let ([one, expected_rest @ ..], [other, got_rest @ ..]) = (expected, got) else {
            return 0;
        };
        if one == other {
            return 1 + most_in_common(expected_rest, got_rest);
        }
        most_in_common(expected_rest, got).max(most_in_common(expected, got_rest))
    }

    #[test]
    fn common_lines_stay_in_place() {
        let told = difference("one\ntwo\nthree\nfour", "zero\none\nthree\n3\nfour");
        assert_eq!(told, "+ zero\n  one\n- two\n  three\n+ 3\n  four");
    }

    #[test]
    fn replaced_lines_come_before_their_replacement() {
        assert_eq!(difference("a\nb\nz", "c\nd\nz"), "- a\n- b\n+ c\n+ d\n  z");
        assert_eq!(difference("a", ""), "- a");
        assert_eq!(difference("", "a"), "+ a");
        assert_eq!(difference("", ""), "");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_the_difference(
            expected in "([abc]\n){0,8}",
            got in "([abc]\n){0,8}",
        ) {
            let told = difference(&expected, &got);
            let lines = |text| str::lines(text).collect::<Vec<_>>();
            let common = told.lines().filter(|line| line.starts_with("  "));
            prop_assert_eq!(common.count(), most_in_common(&lines(&expected), &lines(&got)));
            let without = |mark: char| -> String {
                let kept = told.lines().filter(|line| !line.starts_with(mark));
                kept.map(|line| format!("{}\n", &line[2..])).collect()
            };
            prop_assert_eq!(without('+'), expected);
            prop_assert_eq!(without('-'), got);
        }
    }
}
