//! A chart of bars as SVG.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
/// Where the bars begin, and where the longest one ends.
const BARS: (f64, f64) = (290.0, 800.0);
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// Draws a bar for each value, from the top down.
pub fn bars(title: &str, values: &[(&str, f64)]) -> String {
    let longest = values.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let height = TOP + ROW * values.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"24\" font-weight=\"bold\">{}</text>\n",
        BARS.0,
        escaped(title)
    );
    for (index, (name, value)) in values.iter().enumerate() {
        let top = TOP + ROW * index as f64;
        let length = (BARS.1 - BARS.0) * value / longest;
        // Writing to a text cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.0}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"18\" fill=\"#4878a8\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{value:.0}</text>",
            BARS.0 - 8.0,
            top + 14.0,
            escaped(name),
            BARS.0,
            top,
            BARS.0 + length + 6.0,
            top + 14.0
        );
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_bars_in_proportion_and_escapes_names() {
        let svg = bars("строк в секунду", &[("a < b", 100.0), ("в", 50.0)]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a &lt; b") && svg.contains("строк в секунду"));
        assert!(svg.contains("width=\"510.0\"") && svg.contains("width=\"255.0\""));
    }

    #[test]
    fn draws_a_chart_without_bars() {
        assert!(bars("", &[]).contains("viewBox=\"0 0 900 50\""));
    }
}
