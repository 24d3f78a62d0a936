// Put into the page before its own scripts: records what it plays, what it receives, and when, on
// the clock of the sound. It changes nothing of what the page does.
"use strict";

(() => {
  const probe = {
    /** Text messages received: `{message, frame}`. */
    messages: [],
    /** Text messages sent, and how many binary ones. */
    sent: [],
    sounds: 0,
    /** So many chunks of a reply are received once more just after it was interrupted. */
    repeatAfterInterruption: 0,
    repeated: 0,
    /** What the page's security policy refused. */
    violations: [],
    frame,
    allSent,
    cut: () => sockets.forEach((socket) => socket.close()),
    sound,
    loudFrames,
    rate: () => speaker()?.sampleRate ?? 48_000,
  };
  window.testProbe = probe;

  document.addEventListener("securitypolicyviolation", (event) => {
    probe.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
  });

  /** What each AudioContext sent to the loudspeaker, in blocks: `{start, samples}`, in frames. */
  const played = new Map();

  /** The context through which the page speaks; its microphone may have one of its own. */
  function speaker() {
    return window.voicecore?.session.speaker?.context;
  }

  function blocks() {
    return played.get(speaker()) ?? [];
  }

  /** Where the sound is now: the next frame to be played. */
  function frame() {
    return speaker() ? Math.round(speaker().currentTime * speaker().sampleRate) : 0;
  }

  /** Whether the host has sent all of its last reply: its timeline comes after the sound. */
  function allSent() {
    const last = (types) => probe.messages.findLastIndex(({ message }) => types.includes(message.type));
    return last(["timeline"]) > last(["text", "gemini_response", "audio", "audio_chunk"]);
  }

  /** Everything that was played, in one piece: 16-bit samples as base64. */
  function sound() {
    const start = blocks()[0]?.start ?? 0;
    const last = blocks().at(-1);
    const whole = new Int16Array(last ? last.start + last.samples.length - start : 0);
    let missing = whole.length;
    for (const block of blocks()) {
      missing -= block.samples.length;
      block.samples.forEach((sample, index) => {
        whole[block.start - start + index] = Math.max(-1, Math.min(1, sample)) * 32767;
      });
    }
    const bytes = new Uint8Array(whole.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return { start, data: btoa(text), missing, rate: probe.rate() };
  }

  /** How many frames so far were in a block with some sound in it. */
  function loudFrames() {
    return blocks()
      .filter(({ samples }) => samples.some((sample) => Math.abs(sample) > 0.001))
      .reduce((sum, { samples }) => sum + samples.length, 0);
  }

  const taps = new Map();
  async function tapOf(context) {
    played.set(context, []);
    await context.audioWorklet.addModule("/test/tap.js");
    const node = new AudioWorkletNode(context, "test-tap", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => played.get(context).push(data);
    return node;
  }

  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    const { context } = this;
    if (target instanceof AudioDestinationNode && context instanceof AudioContext) {
      if (!taps.has(context)) taps.set(context, tapOf(context));
      taps.get(context).then((tap) => connect.call(this, tap));
    }
    return connect.call(this, target, ...rest);
  };

  const sockets = [];
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
      this.chunks = [];
      this.addEventListener("message", ({ data }) => this.observe(data));
    }

    observe(data) {
      if (typeof data !== "string") {
        if (this.chunks.length) this.chunks.at(-1).push(data);
        return;
      }
      const message = JSON.parse(data);
      probe.messages.push({ message, frame: probe.frame() });
      if (message.type === "audio_chunk") this.chunks.push([data]);
      if (message.type === "user_activity") setTimeout(() => this.repeat());
    }

    /** As if the newest chunks had been held up on their way. */
    repeat() {
      const late = this.chunks.splice(-probe.repeatAfterInterruption || Infinity);
      for (const data of late.flat()) this.dispatchEvent(new MessageEvent("message", { data }));
      probe.repeated += late.length;
    }

    send(data) {
      if (typeof data === "string") probe.sent.push(JSON.parse(data));
      else probe.sounds += 1;
      super.send(data);
    }
  };
})();
