/** Loaded into a `picket` process ahead of it (`node --import`): the wall clock is wrong by PICKET_TEST_CLOCK_SHIFT_MS. */
const shiftMs = Number(process.env['PICKET_TEST_CLOCK_SHIFT_MS'] ?? '0');
const now = Date.now.bind(Date);

Date.now = () => now() + shiftMs;
