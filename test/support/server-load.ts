/** What redis and memcached are asked under load: as many different commands as there are ways through the program. */

const bulk = (...words: readonly (string | number)[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`;

const script = "local t={} for i=1,20 do t[i]=redis.call('incr','n'..i) end return t";

export function redisRequests(turn: number): string {
  const i = turn % 300;
  return [
    bulk('SET', `key:${i}`, `value-${i}`, 'EX', 100 + i),
    bulk('ZADD', 'scores', i, `member:${i}`),
    bulk('HSET', 'h', `f${i}`, i),
    bulk('GET', `key:${i}`),
    bulk('LPUSH', 'l', i, 'x'.repeat(50)),
    bulk('LTRIM', 'l', 0, 100),
    bulk('SADD', 's', i, `m${i}`),
    bulk('XADD', 'st', 'MAXLEN', 1000, '*', 'a', i, 'b', 'y'.repeat(i)),
    bulk('EVAL', script, 0),
    bulk('ZRANGEBYSCORE', 'scores', 1, 50, 'WITHSCORES'),
    bulk('SORT', 'l', 'BY', 'nosort', 'LIMIT', 0, 10, 'GET', '#'),
    bulk('PFADD', 'hll', i),
    bulk('GEOADD', 'g', 13.3 + i / 100, 38.1, `p${i}`),
    bulk('SETRANGE', `key:${i}`, 5, 'zz'),
    bulk('INFO'),
    bulk('SCAN', 0, 'COUNT', 20),
    i === 299 ? bulk('DEL', 'scores', 'h', 'l', 's') : bulk('PING'),
  ].join('');
}

export const redisFunctions: readonly string[] = [
  'zslInsert',
  'setGenericCommand',
  'lookupKey',
  'streamAppendItem',
  'zzlInsert',
  'evalGenericCommand',
  'luaRedisGenericCommand',
  'quicklistPushHead',
  'dictAddRaw',
  'addReplyBulk',
  'processInputBuffer',
  'hashTypeSet',
  'sortCommand',
  'genericZrangebyscoreCommand',
  'pfaddCommand',
  'geoaddCommand',
  'setrangeCommand',
  'luaV_execute',
  'luaH_get',
  'hllSparseSet',
  'lpInsert',
  'genRedisInfoString',
  'activeExpireCycle',
  'sdscatvprintf',
  'dictScan',
  'luaC_step',
  'beforeSleep',
  'clientsCron',
];

export function memcachedRequests(turn: number): string {
  const i = turn % 300;
  const text = `value ${i}`;
  return [
    `set key:${i} ${i} 100 ${text.length}\r\n${text}\r\n`,
    `get key:${i} key:${(i * 7) % 300}\r\n`,
    `incr counter 1\r\nset counter 0 0 1\r\n5\r\ndecr counter 2\r\n`,
    `append key:${i} 0 0 2\r\nzz\r\n`,
    `delete key:${(i * 3) % 300}\r\n`,
    `gat 30 key:${i}\r\nmg key:${i} v t f\r\nms meta:${i} 2\r\nab\r\nstats\r\nstats items\r\n`,
  ].join('');
}

export const memcachedFunctions: readonly string[] = [
  'do_item_alloc',
  'assoc_find',
  'do_item_link',
  'process_command_ascii',
  'do_add_delta',
  'complete_nread_ascii',
  'do_store_item',
  'item_get',
  'slabs_alloc',
  'conn_new',
  'server_stats',
  'process_mget_command',
  'drive_machine',
  'try_read_network',
  'resp_start',
  'item_stats',
  'do_item_unlink',
  'transmit',
];
