/** A thread that asks redis for a PING without end, and knows the longest that one took since it was asked last. `workerData`: the path of a socket. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const ping = '*1\r\n$4\r\nPING\r\n';
const port = parentPort;
if (port === null) throw new Error('the pinger is a thread');
let longestMs = 0;
port.on('message', () => {
  port.postMessage(longestMs);
  longestMs = 0;
});
const socket = connect(String(workerData));
await once(socket, 'connect');
let beganMs = performance.now();
socket.on('data', () => {
  const nowMs = performance.now();
  longestMs = Math.max(longestMs, nowMs - beganMs);
  beganMs = nowMs;
  socket.write(ping);
});
socket.write(ping);
