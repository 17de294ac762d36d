import { readColours } from './colours';

const MARGIN = 16;
const HEAD = 52;
const FOOT = 30;

/**
 * A chart as a PNG with its title above, and below it what has to stand beside the data: whose they are, and when the
 * picture was drawn. Null where the browser makes none.
 */
export function framed(chart: HTMLCanvasElement, title: string, subtitle: string, foot: string[]): Promise<Blob | null> {
  const ratio = devicePixelRatio || 1;
  const colours = readColours(document.body);
  const canvas = document.createElement('canvas');
  canvas.width = chart.width + 2 * MARGIN * ratio;
  canvas.height = chart.height + (HEAD + FOOT) * ratio;
  const pen = canvas.getContext('2d');
  if (!pen) return Promise.resolve(null);
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(chart, MARGIN * ratio, HEAD * ratio);
  const room = canvas.width - 2 * MARGIN * ratio;
  const write = (text: string, size: number, weight: number, colour: string, y: number): void => {
    pen.font = `${weight} ${size * ratio}px ${colours.font}`;
    pen.fillStyle = colour;
    // A name too long for the picture is pressed into it rather than cut.
    pen.fillText(text, MARGIN * ratio, y, room);
  };
  write(title, 15, 600, colours.ink, 22 * ratio);
  write(subtitle, 12, 400, colours.muted, 42 * ratio);
  write(foot.join(' · '), 11, 400, colours.muted, canvas.height - 11 * ratio);
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}
