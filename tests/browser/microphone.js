// In place of the browser's own microphone: one into which the test speaks when it wants to.
"use strict";

(() => {
  let context = null;
  let microphone = null;

  navigator.mediaDevices.getUserMedia = async () => {
    context = new AudioContext({ sampleRate: 48_000 });
    microphone = context.createMediaStreamDestination();
    return microphone.stream;
  };

  /** Speak a WAV file, given in base64, into the microphone; ends when it has ended. */
  window.testSay = async (wav) => {
    const bytes = Uint8Array.from(atob(wav), (letter) => letter.charCodeAt(0));
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(bytes.buffer);
    source.connect(microphone);
    source.start();
    await new Promise((resolve) => {
      source.onended = resolve;
    });
  };
})();
