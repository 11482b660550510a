//! Pictures of what was measured: one self-contained SVG, panels one below the other over a common axis of time. It knows
//! nothing of what is shown. Colours are those of Okabe and Ito, which people who see few colours can tell apart.

mod scale;

use std::fmt::Write;

use scale::Scale;

/// Sizes in pixels.
const WIDTH: f64 = 1120.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 24.0;
const PANEL: f64 = 118.0;
const PANEL_GAP: f64 = 44.0;
const LANE: f64 = 20.0;
const TITLE_LINE: f64 = 20.0;
/// From the top of the picture to the first line of the title.
const TOP: f64 = 34.0;
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A picture.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// The first line.
    pub title: String,
    /// Further lines below it: what was run, with which parameters.
    pub notes: Vec<String>,
    /// End of the axis of time; it begins at 0. In seconds.
    pub seconds: f64,
    /// Stretches of time that have a name, shown behind all panels.
    pub bands: Vec<Band>,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// What happened when, below the panels.
    pub lanes: Vec<Lane>,
}

/// A stretch of time. In seconds.
#[derive(Debug, Clone)]
pub struct Band {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its name.
    pub label: String,
    /// Whether it is shaded.
    pub shaded: bool,
}

/// Lines over time that have one unit.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// In which unit.
    pub unit: String,
    /// At most as many as there are colours: four.
    pub lines: Vec<Line>,
    /// Values worth reading, each below the lines at its place: (seconds, text).
    pub values: Vec<(f64, String)>,
}

/// One line. Points are (seconds, value); a piece is drawn without a gap, and between pieces there is one.
#[derive(Debug, Clone)]
pub struct Line {
    /// For the legend; not shown where the panel has one line only.
    pub name: String,
    /// The pieces.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

/// A row of events of one kind.
#[derive(Debug, Clone)]
pub struct Lane {
    /// What kind.
    pub title: String,
    /// From, to (seconds), and what it was.
    pub events: Vec<(f64, f64, String)>,
}

impl Chart {
    /// The picture as SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut picture = Picture { text: String::new(), time: self.time() };
        let first = TOP + TITLE_LINE * (lines(self.notes.len()) + 1.0) + 26.0;
        let panels_end = first + (PANEL + PANEL_GAP) * lines(self.panels.len()) - PANEL_GAP;
        let lanes_begin = panels_end + if self.lanes.is_empty() { 0.0 } else { PANEL_GAP };
        let end = lanes_begin + LANE * lines(self.lanes.len());
        picture.begin(end + 58.0, &self.title);
        picture.label(LEFT, TOP, "title", "start", &self.title);
        for (number, note) in (1..).zip(&self.notes) {
            picture.label(LEFT, TOP + TITLE_LINE * lines(number), "note", "start", note);
        }
        for band in &self.bands {
            picture.band(band, first, end);
        }
        for (number, panel) in self.panels.iter().enumerate() {
            picture.panel(panel, first + (PANEL + PANEL_GAP) * lines(number));
        }
        if !self.lanes.is_empty() {
            picture.label(LEFT, lanes_begin - 10.0, "head", "start", "What went wrong");
        }
        for (number, lane) in self.lanes.iter().enumerate() {
            picture.lane(lane, lanes_begin + LANE * lines(number));
        }
        picture.time_axis(end);
        picture.text.push_str("</svg>\n");
        picture.text
    }

    fn time(&self) -> Scale {
        Scale { from: 0.0, to: self.seconds.max(1.0), begin: LEFT, end: WIDTH - RIGHT }
    }
}

/// A count as a length.
fn lines(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

struct Picture {
    text: String,
    time: Scale,
}

impl Picture {
    /// Writes to a text do not fail.
    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(arguments);
        self.text.push('\n');
    }

    fn begin(&mut self, height: f64, title: &str) {
        let title = escaped(title);
        self.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" \
             font-size=\"12\">\n<title>{title}</title>\n<style>\n\
             .title {{ font-size: 18px; font-weight: 600 }} .note {{ fill: #555 }} .head {{ font-weight: 600 }}\n\
             .tick {{ fill: #555; font-size: 11px }} .band {{ fill: #555; font-size: 11px }} .value {{ fill: #00573f; font-size: 11px }}\n\
             .grid {{ stroke: #ddd }} .axis {{ stroke: #888 }} .edge {{ stroke: #bbb; stroke-dasharray: 3 3 }}\n\
             .line {{ fill: none; stroke-width: 1.6; stroke-linejoin: round }}\n</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
        ));
    }

    fn label(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn rule(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn band(&mut self, band: &Band, top: f64, bottom: f64) {
        let (from, to) = (self.time.place(band.from), self.time.place(band.to));
        let top = top - 16.0;
        if band.shaded {
            let (width, height) = ((to - from).max(0.0), bottom - top);
            self.add(format_args!(
                "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#009e73\" \
                 fill-opacity=\"0.10\"/>"
            ));
        }
        for x in [from, to] {
            self.rule("edge", (x, top), (x, bottom));
        }
        self.label(f64::midpoint(from, to), top - 6.0, "band", "middle", &band.label);
    }

    fn panel(&mut self, panel: &Panel, top: f64) {
        let values = panel.lines.iter().flat_map(|line| line.pieces.iter().flatten()).map(|point| point.1);
        let highest = values.fold(0.0, f64::max);
        let ticks = scale::ticks(highest, 4);
        let to = ticks.last().copied().unwrap_or(1.0);
        let scale = Scale { from: 0.0, to, begin: top + PANEL, end: top };
        for tick in &ticks {
            let y = scale.place(*tick);
            self.rule("grid", (LEFT, y), (WIDTH - RIGHT, y));
            self.label(LEFT - 8.0, y + 4.0, "tick", "end", &scale::number(*tick));
        }
        self.rule("axis", (LEFT, top), (LEFT, top + PANEL));
        self.label(LEFT + 6.0, top - 3.0, "head", "start", &format!("{} ({})", panel.title, panel.unit));
        for (number, (line, colour)) in panel.lines.iter().zip(COLOURS).enumerate() {
            for piece in &line.pieces {
                let points = piece.iter();
                let points = points
                    .map(|(x, y)| format!("{:.1},{:.1}", self.time.place(*x), scale.place(*y)))
                    .collect::<Vec<_>>()
                    .join(" ");
                self.add(format_args!("<polyline class=\"line\" stroke=\"{colour}\" points=\"{points}\"/>"));
            }
            if panel.lines.len() > 1 {
                self.legend(panel.lines.len() - number, &line.name, colour, top);
            }
        }
        for (seconds, text) in &panel.values {
            self.label(self.time.place(*seconds), top + PANEL + 14.0, "value", "middle", text);
        }
    }

    /// The last one is at the right end.
    fn legend(&mut self, from_right: usize, name: &str, colour: &str, top: f64) {
        let x = WIDTH - RIGHT - 110.0 * lines(from_right);
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"3\" fill=\"{colour}\"/>",
            top - 8.5
        ));
        self.label(x + 20.0, top - 3.0, "tick", "start", name);
    }

    fn lane(&mut self, lane: &Lane, top: f64) {
        let middle = top + LANE / 2.0;
        self.rule("grid", (LEFT, middle), (WIDTH - RIGHT, middle));
        self.label(LEFT - 8.0, middle + 4.0, "tick", "end", &lane.title);
        for (from, to, what) in &lane.events {
            let begin = self.time.place(*from);
            let width = (self.time.place(*to) - begin).max(2.5);
            let y = top + 4.0;
            let height = LANE - 8.0;
            let what = escaped(what);
            self.add(format_args!(
                "<rect x=\"{begin:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"#d55e00\" \
                 fill-opacity=\"0.75\"><title>{what}</title></rect>"
            ));
        }
    }

    fn time_axis(&mut self, y: f64) {
        self.rule("axis", (LEFT, y), (WIDTH - RIGHT, y));
        for minute in scale::ticks(self.time.to / 60.0, 12) {
            let x = self.time.place(minute * 60.0);
            if x <= self.time.end {
                self.rule("axis", (x, y), (x, y + 5.0));
                self.label(x, y + 19.0, "tick", "middle", &scale::number(minute));
            }
        }
        self.label(f64::midpoint(LEFT, WIDTH - RIGHT), y + 40.0, "head", "middle", "Time (minutes)");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "Memory & <files>".to_owned(),
            notes: vec!["seed 7".to_owned()],
            seconds: 120.0,
            bands: vec![Band { from: 60.0, to: 120.0, label: "rest".to_owned(), shaded: true }],
            panels: vec![Panel {
                title: "Memory".to_owned(),
                unit: "MiB".to_owned(),
                lines: vec![Line {
                    name: "resident".to_owned(),
                    pieces: vec![vec![(0.0, 0.0), (60.0, 80.0)], vec![(61.0, 10.0)]],
                }],
                values: vec![(90.0, "10 MiB".to_owned())],
            }],
            lanes: vec![Lane { title: "Graph".to_owned(), events: vec![(10.0, 12.0, "503".to_owned())] }],
        }
    }

    #[test]
    fn texts_are_escaped() {
        let svg = chart().svg();
        assert!(svg.contains("Memory &amp; &lt;files&gt;"), "{svg}");
        assert!(!svg.contains("<files>"));
    }

    #[test]
    fn a_gap_makes_two_lines_and_points_are_placed_on_both_axes() {
        let svg = chart().svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        // Half of the time is in the middle of the width; 80 is the highest tick.
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let top = TOP + TITLE_LINE * 2.0 + 26.0;
        assert!(svg.contains(&format!("{middle:.1},{top:.1}")), "{svg}");
    }

    #[test]
    fn units_bands_and_events_are_named() {
        let svg = chart().svg();
        for text in ["Memory (MiB)", "Time (minutes)", ">rest<", ">Graph<", ">10 MiB<", "<title>503</title>"]
        {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn nothing_measured_is_a_picture_too() {
        let svg = Chart::default().svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
