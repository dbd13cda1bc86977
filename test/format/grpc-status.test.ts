import { expect, test } from 'vitest';
import { errorCodes } from '../../format/error.js';
import { codeOfGrpcStatus, grpcStatusOf } from '../../format/grpc-status.js';

test.each(errorCodes)('%s goes to a status and comes back', (code) => {
  expect(codeOfGrpcStatus(grpcStatusOf(code))).toBe(code);
});

test.each([
  [1, 'unreachable'],
  [16, 'denied'],
  [99, 'internal'],
])('status %i without an error of ours is %s', (status, code) => {
  expect(codeOfGrpcStatus(status)).toBe(code);
});
