//! A sheet to draw on, written as SVG: marks placed in the units of the data, axes with round ticks, text made harmless.

use std::fmt::Write;

pub const WIDTH: f64 = 760.0;
pub const HEIGHT: f64 = 380.0;
/// Left, top, right and bottom of the field that data are drawn in.
const MARGINS: (f64, f64, f64, f64) = (78.0, 44.0, 24.0, 44.0);
/// Apart in hue and in lightness, also for eyes that see few hues (Okabe and Ito, 2008).
pub const COLOURS: [&str; 7] = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"];
pub const INK: &str = "#333333";

/// A drawing and the ranges of its axes.
pub struct Drawing {
    text: String,
    across: (f64, f64),
    up: (f64, f64),
    left: f64,
    /// Of the sheet; a legend adds to it.
    height: f64,
}

impl Drawing {
    /// An empty field under a title; `left` is the room for labels at its left, beyond the usual.
    #[must_use]
    pub fn new(title: &str, across: (f64, f64), up: (f64, f64), left: f64) -> Self {
        let mut text = String::new();
        let _ =
            writeln!(text, "<text x=\"{}\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{}</text>", MARGINS.0, harmless(title));
        Self { text, across, up, left: MARGINS.0 + left, height: HEIGHT }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.across.0) / (self.across.1 - self.across.0);
        self.left + share * (WIDTH - MARGINS.2 - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.up.0) / (self.up.1 - self.up.0);
        HEIGHT - MARGINS.3 - share * (HEIGHT - MARGINS.1 - MARGINS.3)
    }

    /// Ticks and their lines across the field, and what the axis is.
    pub fn upright(&mut self, name: &str) {
        for tick in ticks(self.up) {
            let (y, left, right) = (self.y(tick), self.left, WIDTH - MARGINS.2);
            let _ = writeln!(self.text, "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#dddddd\"/>");
            let _ = writeln!(
                self.text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                short(tick)
            );
        }
        let (left, top) = (self.left - 6.0, MARGINS.1 - 8.0);
        let _ = writeln!(
            self.text,
            "<text x=\"{left:.1}\" y=\"{top:.1}\" text-anchor=\"end\" fill=\"#666666\">{}</text>",
            harmless(name)
        );
    }

    /// Ticks along the foot of the field, and what the axis is.
    pub fn along(&mut self, name: &str) {
        let round: Vec<(f64, String)> = ticks(self.across).into_iter().map(|tick| (tick, short(tick))).collect();
        self.along_at(name, &round);
    }

    /// The same with ticks of one's own.
    pub fn along_at(&mut self, name: &str, ticks: &[(f64, String)]) {
        let foot = HEIGHT - MARGINS.3;
        for (tick, says) in ticks {
            let x = self.x(*tick);
            let _ = writeln!(self.text, "<path d=\"M{x:.1} {foot:.1}v5\" stroke=\"{INK}\"/>");
            let _ =
                writeln!(self.text, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", foot + 18.0, harmless(says));
        }
        let right = WIDTH - MARGINS.2;
        let _ = writeln!(self.text, "<path d=\"M{:.1} {foot:.1}H{right:.1}\" stroke=\"{INK}\"/>", self.left);
        let _ = writeln!(
            self.text,
            "<text x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666666\">{}</text>",
            foot + 36.0,
            harmless(name)
        );
    }

    /// A rectangle between two corners, in the data's units.
    pub fn bar(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), colour: &str) {
        let (left, right) = (self.x(x0).min(self.x(x1)), self.x(x0).max(self.x(x1)));
        let (top, foot) = (self.y(y0).min(self.y(y1)), self.y(y0).max(self.y(y1)));
        let (width, height) = (right - left, foot - top);
        let _ = writeln!(
            self.text,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" \
             shape-rendering=\"crispEdges\"/>"
        );
    }

    /// The area between a lower and an upper line.
    pub fn area(&mut self, lower: &[(f64, f64)], upper: &[(f64, f64)], colour: &str, opacity: f64) {
        let round = lower.iter().chain(upper.iter().rev());
        let path: Vec<String> = round.map(|&(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y))).collect();
        let _ = writeln!(self.text, "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>", path.join(" "));
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, dashes: &str) {
        let path: Vec<String> = points.iter().map(|&(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y))).collect();
        let _ = writeln!(
            self.text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dashes}\"/>",
            path.join(" ")
        );
    }

    /// Words at a place of the field; `anchor` is where they hang: start, middle or end.
    pub fn say(&mut self, (x, y): (f64, f64), shift: (f64, f64), anchor: &str, words: &str) {
        let (x, y) = (self.x(x) + shift.0, self.y(y) + shift.1);
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", harmless(words));
    }

    /// What colours mean, in rows under the field: areas, or where there are dashes (or an empty string of them) lines.
    pub fn legend(&mut self, entries: &[(String, &str, Option<&str>)]) {
        let (mut x, mut y) = (MARGINS.0, self.height + 12.0);
        for (name, colour, dashes) in entries {
            let room = 34.0 + 6.4 * name.chars().count() as f64;
            if x > MARGINS.0 && x + room > WIDTH - MARGINS.2 {
                (x, y) = (MARGINS.0, y + 18.0);
            }
            let (top, middle, foot) = (y - 9.0, y - 4.0, y);
            let _ = match dashes {
                None => writeln!(self.text, "<rect x=\"{x:.1}\" y=\"{top}\" width=\"14\" height=\"10\" fill=\"{colour}\"/>"),
                Some(dashes) => writeln!(
                    self.text,
                    "<path d=\"M{x:.1} {middle}h15\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dashes}\"/>"
                ),
            };
            let _ = writeln!(self.text, "<text x=\"{:.1}\" y=\"{foot}\" font-size=\"11\">{}</text>", x + 18.0, harmless(name));
            x += room;
        }
        self.height = y + 12.0;
    }

    #[must_use]
    pub fn finish(self) -> String {
        let Self { text, height, .. } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"{INK}\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n{text}</svg>\n"
        )
    }
}

/// Text that cannot be taken for markup.
fn harmless(text: &str) -> String {
    let escape = |c: char| match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&quot;".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Round numbers within a range, about five.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// A number with few digits: 2.4M, 350k, 12.5.
#[must_use]
pub fn short(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        huge if huge >= 1e9 => (value / 1e9, "G"),
        large if large >= 1e6 => (value / 1e6, "M"),
        some if some >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    format!("{}{letter}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks((0.0, 12.0)), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!(ticks((2.1e6, 3.9e6)), [2.5e6, 3.0e6, 3.5e6]);
    }

    #[test]
    fn numbers_are_short_and_text_is_no_markup() {
        assert_eq!([short(2.4e6), short(350_000.0), short(12.5), short(0.0)], ["2.4M", "350k", "12.5", "0"]);
        assert_eq!(harmless("a<b>&\"\n"), "a&lt;b&gt;&amp;&quot; ");
    }
}
