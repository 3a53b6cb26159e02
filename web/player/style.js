/** The style sheet of <moq-player>. It stands in a module because a shadow tree does not see the page's. */
export const STYLE = `
:host {
  display: block; position: relative; aspect-ratio: 16 / 9; overflow: hidden;
  background: #0b0f14; color: #f3f6f9; border-radius: var(--moq-radius, 12px);
  font: 14px/1.4 system-ui, sans-serif; --accent: #ff4d5e;
}
:host(:fullscreen) { border-radius: 0; }
:host(:focus-visible) { outline: 3px solid #7ab8ff; outline-offset: 2px; }
[hidden] { display: none !important; }
video { width: 100%; height: 100%; object-fit: contain; display: block; }
.shade { position: absolute; inset: 0; pointer-events: none; background: linear-gradient(transparent 70%, #000a); transition: opacity .2s; }
.message {
  position: absolute; inset: 0; margin: 0; display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: .8rem; padding: 1rem 2rem 3.5rem; text-align: center; text-wrap: balance; font-size: clamp(15px, 2.4vw, 21px);
  pointer-events: none; text-shadow: 0 1px 8px #000; background: #0b0f1499;
}
.message:empty { display: none; }
.message:has(~ .over > .stats:not([hidden])) { color: transparent; text-shadow: none; } /* the first of the figures says it */
:host(:is([data-state=connecting], [data-state=waiting], [data-state=reconnecting])) .message::after {
  content: ""; width: 32px; height: 32px; border: 3px solid #fff4; border-top-color: #fff; border-radius: 50%; animation: turn 1s linear infinite;
}
@keyframes turn { to { transform: rotate(1turn); } }
@media (prefers-reduced-motion: reduce) { .message::after { animation-duration: 4s !important; } }
.bar { position: absolute; left: 0; right: 0; bottom: 0; display: flex; align-items: center; gap: 4px; padding: 8px 10px; transition: opacity .2s; }
.space { flex: 1; }
button {
  all: unset; box-sizing: border-box; min-width: 40px; height: 40px; display: inline-grid; place-items: center;
  border-radius: 8px; cursor: pointer; color: inherit;
}
.cameras {
  max-width: 40%; height: 32px; padding: 0 8px; border: 0; border-radius: 8px; background: #0007; color: inherit; font: inherit; font-size: 13px; cursor: pointer;
}
.cameras option { background: #0b0f14; }
button.silent { background: #0007; }
button:hover { background: #fff2; }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 2px solid #7ab8ff; }
svg { width: 24px; height: 24px; fill: currentColor; }
.live { display: inline-flex; gap: 8px; align-items: center; padding: 0 12px; font-weight: 600; font-size: 13px; letter-spacing: .03em; font-variant-numeric: tabular-nums; background: #0007; }
.live i { width: 9px; height: 9px; border-radius: 50%; background: #9aa4af; }
:host([data-state=live]:not([data-paused])) .live i { background: var(--accent); box-shadow: 0 0 0 3px #ff4d5e44; }
.volume { width: 84px; accent-color: #fff; }
.over { position: absolute; inset: 10px 10px 62px; container-type: size; pointer-events: none; }
.stats {
  position: absolute; top: 0; left: 0; max-width: 100%; max-height: 100%; overflow: auto; box-sizing: border-box; pointer-events: auto;
  margin: 0; padding: 10px 14px; display: grid; grid-template-columns: auto 1fr; gap: 2px 14px;
  background: #0b0f14d9; border-radius: 8px; font-size: 12px; font-variant-numeric: tabular-nums;
}
svg.paths {
  position: absolute; right: 0; bottom: 0; width: min(40%, 320px); height: 84px; box-sizing: border-box; padding: 8px;
  background: #0b0f14d9; border-radius: 8px; fill: none; stroke-width: 2; pointer-events: none;
}
svg.paths polyline { vector-effect: non-scaling-stroke; }
.stats dt { color: #9fb0c0; } .stats dd { margin: 0; overflow-wrap: anywhere; }
@media (hover: hover) {
  :host([data-state=live]:not(:hover):not(:focus-within)) .bar > :not(.live, .silent), :host([data-state=live]:not(:hover):not(:focus-within)) .shade { opacity: 0; }
}
@media (max-width: 520px) { .volume { display: none; } }
@container (max-width: 600px) or (max-height: 380px) { .stats { padding: 6px 10px; font-size: 11px; gap: 1px 10px; } }
/* Where both do not fit beside each other, the chart stands above what it shows. */
@container (max-width: 600px) or (max-height: 260px) {
  .stats:has(~ svg.paths:not([hidden])) { bottom: 0; right: 0; top: 56px; max-height: none; }
  svg.paths { top: 0; left: 0; width: 100%; height: 52px; padding: 6px 10px; }
}
`;
