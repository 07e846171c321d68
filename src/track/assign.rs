//! The cheapest one-to-one pairing of rows and columns, where leaving a row alone has a price.
//!
//! The Hungarian method by shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957;
//! this form after Jonker and Volgenant 1987), O(rows² · columns).

/// Stands for a forbidden pair; larger than any sum of real costs.
const FORBIDDEN: f64 = 1e12;

/// What each pairing costs. Every cost starts out forbidden.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

impl Costs {
    /// A table in which every pair is forbidden.
    pub(crate) fn forbidden(rows: usize, cols: usize) -> Self {
        Self { rows, cols, values: vec![FORBIDDEN; rows * cols] }
    }

    /// Allows a pair at a finite cost.
    pub(crate) fn allow(&mut self, row: usize, col: usize, cost: f64) {
        self.values[row * self.cols + col] = cost;
    }

    /// The column of each row in the cheapest pairing, `None` for a row left alone, which costs
    /// `alone`. With `alone` equal to the worst acceptable cost, a good pair is never broken up
    /// only to pair one row more.
    pub(crate) fn cheapest(&self, alone: f64) -> Vec<Option<usize>> {
        let cost = |row: usize, col: usize| if col < self.cols { self.values[row * self.cols + col] } else { alone };
        let mut pairing = vec![None; self.rows];
        for (col, row) in square_off(self.rows, self.cols + self.rows, cost).into_iter().enumerate() {
            if let Some(row) = row
                && col < self.cols
                && cost(row, col) < FORBIDDEN
            {
                pairing[row] = Some(col);
            }
        }
        pairing
    }
}

/// The row of each column in the cheapest pairing of all rows; needs `rows <= cols`.
fn square_off(rows: usize, cols: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    // Column `cols` is a root from which each row's augmenting path starts.
    let root = cols;
    let mut row_potential = vec![0.0; rows];
    let mut col_potential = vec![0.0; cols + 1];
    let mut row_of = vec![None; cols + 1];
    let mut came_from = vec![root; cols];
    for new_row in 0..rows {
        row_of[root] = Some(new_row);
        let mut distance = vec![f64::INFINITY; cols];
        let mut reached = vec![false; cols + 1];
        let mut at = root;
        while let Some(row) = row_of[at] {
            reached[at] = true;
            let mut nearest = (f64::INFINITY, root);
            for col in (0..cols).filter(|&col| !reached[col]) {
                let reduced = cost(row, col) - row_potential[row] - col_potential[col];
                if reduced < distance[col] {
                    (distance[col], came_from[col]) = (reduced, at);
                }
                if distance[col] < nearest.0 {
                    nearest = (distance[col], col);
                }
            }
            let (step, next) = nearest;
            for col in (0..=cols).filter(|&col| reached[col]) {
                col_potential[col] -= step;
                if let Some(row) = row_of[col] {
                    row_potential[row] += step;
                }
            }
            for col in (0..cols).filter(|&col| !reached[col]) {
                distance[col] -= step;
            }
            at = next;
        }
        while at != root {
            row_of[at] = row_of[came_from[at]];
            at = came_from[at];
        }
        row_of[root] = None;
    }
    row_of.truncate(cols);
    row_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[&[Option<f64>]]) -> Costs {
        let mut costs = Costs::forbidden(rows.len(), rows.first().map_or(0, |row| row.len()));
        for (r, row) in rows.iter().enumerate() {
            for (c, cost) in row.iter().enumerate() {
                if let Some(cost) = cost {
                    costs.allow(r, c, *cost);
                }
            }
        }
        costs
    }

    fn total(costs: &Costs, pairing: &[Option<usize>], alone: f64) -> f64 {
        let price = |(row, col): (usize, &Option<usize>)| col.map_or(alone, |col| costs.values[row * costs.cols + col]);
        pairing.iter().enumerate().map(price).sum()
    }

    fn best_by_trying_all(costs: &Costs, row: usize, used: &mut Vec<bool>, alone: f64) -> f64 {
        if row == costs.rows {
            return 0.0;
        }
        let mut best = alone + best_by_trying_all(costs, row + 1, used, alone);
        for col in 0..costs.cols {
            if !used[col] {
                used[col] = true;
                best = best.min(costs.values[row * costs.cols + col] + best_by_trying_all(costs, row + 1, used, alone));
                used[col] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn nothing_is_cheaper_and_no_column_is_used_twice(
            cells in prop::collection::vec(prop::option::of(0.0_f64..2.0), 25),
            rows in 0_usize..=5, cols in 0_usize..=5, alone in 0.1_f64..3.0,
        ) {
            let mut costs = Costs::forbidden(rows, cols);
            for (index, cell) in cells.iter().take(rows * cols).enumerate() {
                if let Some(cost) = cell {
                    costs.allow(index / cols, index % cols, *cost);
                }
            }
            let pairing = costs.cheapest(alone);
            let mut used: Vec<_> = pairing.iter().flatten().collect();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), pairing.iter().flatten().count());
            let best = best_by_trying_all(&costs, 0, &mut vec![false; cols], alone);
            prop_assert!((total(&costs, &pairing, alone) - best).abs() < 1e-6);
        }
    }

    #[test]
    fn the_whole_is_cheapest_not_the_first_pair() {
        let costs = table(&[&[Some(0.1), Some(0.2)], &[Some(0.2), Some(0.9)]]);
        assert_eq!(costs.cheapest(1.0), [Some(1), Some(0)]);
    }

    #[test]
    fn good_pairs_are_not_broken_up_to_pair_one_more() {
        // Faces in a row: the first has left, a new one stands at the other end.
        let far = Some(0.8);
        let costs = table(&[&[far, None, None], &[Some(0.0), far, None], &[None, Some(0.0), far]]);
        assert_eq!(costs.cheapest(0.85), [None, Some(0), Some(1)]);
    }

    #[test]
    fn forbidden_pairs_and_empty_tables_pair_nothing() {
        assert_eq!(Costs::forbidden(2, 2).cheapest(1.0), [None, None]);
        assert_eq!(Costs::forbidden(2, 0).cheapest(1.0), [None, None]);
        assert!(Costs::forbidden(0, 3).cheapest(1.0).is_empty());
    }
}
