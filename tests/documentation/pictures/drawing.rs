//! Draws boxes and arrows as SVG, readable on a light and on a dark page.

use std::fmt::Write as _;

/// A picture.
pub(crate) struct Drawing {
    width: i32,
    height: i32,
    title: &'static str,
    body: String,
}

/// A box of a picture.
pub(crate) struct Place {
    x: i32,
    y: i32,
    width: i32,
}

/// Where an arrow begins or ends.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Top,
    Bottom,
    Left,
    Right,
}

const HEIGHT: i32 = 52;

/// The colors are those of a light page, and those of a dark one replace them.
const STYLE: &str = "
  text { font-family: system-ui, sans-serif; }
  @media (prefers-color-scheme: dark) {
    rect { fill: #161b22; stroke: #8b949e; }
    text { fill: #e6edf3; }
    .small { fill: #a8b1bb; }
    polyline { stroke: #8b949e; }
    polygon, circle { fill: #8b949e; }
  }
";

impl Drawing {
    pub(crate) fn new(width: i32, height: i32, title: &'static str) -> Self {
        Self {
            width,
            height,
            title,
            body: String::new(),
        }
    }

    /// Draws a box with a name, and what it is.
    pub(crate) fn place(&mut self, x: i32, y: i32, width: i32, name: &str, what: &str) -> Place {
        let middle = x + width / 2;
        self.write(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#f6f8fa\" stroke=\"#57606a\"/>"
        ));
        self.text(middle, y + 22, "middle", 14, "", name);
        self.text(middle, y + 40, "middle", 11, "small", what);
        Place { x, y, width }
    }

    /// Draws an arrow with a word beside it.
    pub(crate) fn arrow(&mut self, from: &Place, out: Side, to: &Place, into: Side, word: &str) {
        let (start, end) = (from.at(out), to.at(into));
        let points = match (out, into) {
            (Side::Bottom, Side::Top) if start.0 != end.0 => {
                let turn = (start.1 + end.1) / 2;
                vec![start, (start.0, turn), (end.0, turn), end]
            }
            (Side::Left | Side::Right, Side::Top) => vec![start, (end.0, start.1), end],
            _ => vec![start, end],
        };
        self.line(&points);
        if !word.is_empty() {
            let (x, y) = ((start.0 + end.0) / 2, (start.1 + end.1) / 2);
            self.note(x + 6, y - 4, word);
        }
    }

    /// Draws a line through these points, with the head of an arrow at its end.
    pub(crate) fn line(&mut self, points: &[(i32, i32)]) {
        self.polyline(points, "");
        let [.., before, end] = points else {
            return;
        };
        let (dx, dy) = (f64::from(end.0 - before.0), f64::from(end.1 - before.1));
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let corner = |side: f64| {
            let x = f64::from(end.0) - 8.0 * ux - 4.0 * side * uy;
            let y = f64::from(end.1) - 8.0 * uy + 4.0 * side * ux;
            format!("{x:.1},{y:.1}")
        };
        let (left, right) = (corner(1.0), corner(-1.0));
        self.write(&format!(
            "<polygon points=\"{},{} {left} {right}\" fill=\"#57606a\"/>",
            end.0, end.1
        ));
    }

    /// Draws a dashed line without a head: what does not arrive.
    pub(crate) fn dashed(&mut self, points: &[(i32, i32)]) {
        self.polyline(points, " stroke-dasharray=\"4 3\"");
    }

    fn polyline(&mut self, points: &[(i32, i32)], more: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let points = points.join(" ");
        self.write(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#57606a\" stroke-width=\"1.5\"{more}/>"
        ));
    }

    /// Writes a few words that begin here.
    pub(crate) fn note(&mut self, x: i32, y: i32, words: &str) {
        self.text(x, y, "start", 11, "small", words);
    }

    /// Draws a dot, and what happens there.
    pub(crate) fn mark(&mut self, x: i32, y: i32, words: &str) {
        self.write(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#57606a\"/>"
        ));
        self.text(x, y - 12, "start", 12, "", words);
    }

    fn text(&mut self, x: i32, y: i32, anchor: &str, size: i32, class: &str, words: &str) {
        if words.is_empty() {
            return;
        }
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let color = if class.is_empty() {
            "#1f2328"
        } else {
            "#57606a"
        };
        self.write(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" class=\"{class}\" fill=\"{color}\">{words}</text>"
        ));
    }

    fn write(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    pub(crate) fn to_svg(&self) -> String {
        let Self {
            width,
            height,
            title,
            body,
        } = self;
        let mut svg = String::new();
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n{body}</svg>"
        )
        .expect("a string takes all");
        svg
    }
}

impl Place {
    fn at(&self, side: Side) -> (i32, i32) {
        let (middle, center) = (self.x + self.width / 2, self.y + HEIGHT / 2);
        match side {
            Side::Top => (middle, self.y),
            Side::Bottom => (middle, self.y + HEIGHT),
            Side::Left => (self.x, center),
            Side::Right => (self.x + self.width, center),
        }
    }
}
