// A chart of what each path of a publisher has carried in the last minute.

/** @import {PathsRecord} from './paths.js' */

const WIDTH = 300;
const HEIGHT = 60;
const SPAN_MS = 60_000;

/** Colours that are told apart on black, also by who sees red and green alike. */
export const COLOURS = ['#4cc2ff', '#ffb454', '#c58cff', '#7bd88f', '#ff7a90', '#e6e06a'];

/**
 * The lines of the chart, as the points of an SVG polyline for each path.
 * @param {readonly PathsRecord[]} history oldest first
 * @returns {{name: string, colour: string, points: string}[]}
 */
export function lines(history) {
  const newest = history.at(-1);
  if (!newest) return [];
  const most = Math.max(1, ...history.flatMap((r) => r.paths.map((p) => p.rate)));
  const names = [...new Set(history.flatMap((r) => r.paths.map((p) => p.name)))].sort();
  return names.map((name, i) => ({
    name,
    colour: COLOURS[i % COLOURS.length],
    points: history
      .filter((r) => newest.at - r.at <= SPAN_MS && r.at <= newest.at)
      .map((r) => {
        const rate = r.paths.find((p) => p.name === name)?.rate ?? 0;
        const x = WIDTH - ((newest.at - r.at) / SPAN_MS) * WIDTH;
        return `${x.toFixed(1)},${(HEIGHT - (rate / most) * HEIGHT).toFixed(1)}`;
      })
      .join(' '),
  }));
}

/** Draws them into an <svg>. @param {Element} svg @param {readonly PathsRecord[]} history */
export function draw(svg, history) {
  svg.setAttribute('viewBox', `0 -2 ${WIDTH} ${HEIGHT + 4}`);
  svg.replaceChildren(
    ...lines(history).map(({ colour, points }) => {
      const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
      line.setAttribute('points', points);
      line.setAttribute('stroke', colour);
      return line;
    }),
  );
}
