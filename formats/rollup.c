#include "formats/rollup.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"

#define ROLLUP_MAGIC   "MRLP"
#define ROLLUP_VERSION 1u

#define TRAILER_AT  4064u
#define CHECKSUM_AT 4088u

#define BLOCK_ROWS 256u
#define WORDS      8u /* of a block; a key sets one row in each */
#define WORD_BITS  5u /* the row in a word */

/* How many keys a thousand blocks take. Keys fall on blocks by chance, so their number in one
 * is Poisson's, and a block of i keys says "may be" to (1 - (31/32)^i)^8 of all questions. Over
 * Poisson's distribution that is one in a thousand where a block has 15.157 keys in the mean:
 * 16.9 bits a key. (The formula for filters that are not split in blocks asks for 14.6, at
 * which these would give twice as many false positives.) */
#define KEYS_A_THOUSAND_BLOCKS 15157u

static const uint8_t sector_magic[4] = {'M', 'R', 'L', 'S'};
static const uint64_t spans[ROLLUP_LEVELS] = {100, 10000, 1000000};

/* The names of keys of one kind differ from those of another by the seed. */
enum name_space {
    SPACE_PATH = 1,
    SPACE_CONTENT = 2,
    SPACE_SESSION = 3,
};

uint64_t rollup_key_path(struct bytes path)
{
    return xxh3_64_seed(path, SPACE_PATH);
}

uint64_t rollup_key_content(const struct hash *hash)
{
    return xxh3_64_seed(bytes_of(hash->b, sizeof(hash->b)), SPACE_CONTENT);
}

uint64_t rollup_key_session(const struct id16 *session)
{
    return xxh3_64_seed(bytes_of(session->b, sizeof(session->b)), SPACE_SESSION);
}

/* ---- shapes ---- */

uint64_t rollup_span(unsigned level)
{
    assert(level >= 1 && level <= ROLLUP_LEVELS);
    return spans[level - 1];
}

bool rollup_name_ok(unsigned level, uint64_t first, uint64_t end)
{
    if (level < 1 || level > ROLLUP_LEVELS || first == 0 || end <= first)
        return false;
    uint64_t span = spans[level - 1];
    uint64_t group = span * ROLLUP_COLUMNS_MAX;
    return (first - 1) % span == 0 && (end - first) % span == 0 &&
           (first - 1) / group == (end - 2) / group;
}

uint64_t rollup_end(const struct rollup_shape *shape)
{
    return shape->first + shape->columns * rollup_span(shape->level);
}

static uint32_t blocks_a_sector(unsigned columns)
{
    return TRAILER_AT * 8 / (BLOCK_ROWS * columns);
}

uint32_t rollup_sectors(uint64_t keys, unsigned columns)
{
    assert(columns >= 1 && columns <= ROLLUP_COLUMNS_MAX);
    uint64_t most = ROLLUP_MAX / ROLLUP_SECTOR - 1;
    uint64_t a_sector = blocks_a_sector(columns);
    /* So many keys are too many in any shape, and the product below stays small. */
    if (keys > ROLLUP_MAX)
        return 0;
    uint64_t blocks = (keys * 1000 + KEYS_A_THOUSAND_BLOCKS - 1) / KEYS_A_THOUSAND_BLOCKS;
    uint64_t sectors = (blocks + a_sector - 1) / a_sector;
    if (sectors == 0)
        return 1;
    return sectors > most ? 0 : (uint32_t)sectors;
}

uint64_t rollup_len(const struct rollup_shape *shape)
{
    return (1 + (uint64_t)shape->sectors) * ROLLUP_SECTOR;
}

int rollup_shape_of(const struct id16 *project, unsigned level, uint64_t first, uint64_t end,
                    uint64_t size, struct rollup_shape *out)
{
    if (!rollup_name_ok(level, first, end))
        return ERR_INVALID;
    if (size < ROLLUP_SECTOR || size > ROLLUP_MAX || size % ROLLUP_SECTOR != 0)
        return ERR_CORRUPT;
    *out = (struct rollup_shape){
        .project = *project,
        .level = level,
        .columns = (unsigned)((end - first) / spans[level - 1]),
        .first = first,
        .sectors = (uint32_t)(size / ROLLUP_SECTOR - 1),
    };
    return OK;
}

/* ---- keys ---- */

/* The finalizer of SplitMix64: each bit of the result depends on each of the number. */
static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

/* One key has another pattern in each object, so that what is wrong by chance on one level is
 * not on the next. */
static uint64_t seed_of(const struct rollup_shape *shape)
{
    return mix(shape->first * (ROLLUP_LEVELS + 1) + shape->level);
}

/* Where keys go in objects of one shape. */
struct map {
    uint64_t seed;
    uint64_t blocks;
    uint32_t a_sector;
};

struct spot {
    uint32_t sector;
    unsigned row; /* the first of the block, in its sector */
    uint64_t pattern;
};

static struct map map_of(const struct rollup_shape *shape)
{
    uint32_t a_sector = blocks_a_sector(shape->columns);
    return (struct map){.seed = seed_of(shape),
                        .blocks = (uint64_t)shape->sectors * a_sector,
                        .a_sector = a_sector};
}

static inline struct spot spot_of(const struct map *map, uint64_t key)
{
    uint32_t block = (uint32_t)((unsigned __int128)key * map->blocks >> 64);
    return (struct spot){
        .sector = block / map->a_sector,
        .row = block % map->a_sector * BLOCK_ROWS,
        .pattern = mix(key ^ map->seed),
    };
}

/* The row of word `word`, in the block's sector. */
static inline unsigned row_of(const struct spot *spot, unsigned word)
{
    unsigned in_word = (unsigned)(spot->pattern >> WORD_BITS * word) & ((1u << WORD_BITS) - 1);
    return spot->row + (word << WORD_BITS) + in_word;
}

void rollup_add(const struct rollup_shape *shape, unsigned column, const uint64_t *keys,
                size_t n, uint8_t *object)
{
    assert(column < shape->columns && shape->sectors > 0);
    const struct map map = map_of(shape);
    const unsigned columns = shape->columns;
    for (size_t i = 0; i < n; i++) {
        struct spot spot = spot_of(&map, keys[i]);
        uint8_t *sector = object + (1 + (size_t)spot.sector) * ROLLUP_SECTOR;
        for (unsigned word = 0; word < WORDS; word++) {
            unsigned bit = row_of(&spot, word) * columns + column;
            sector[bit / 8] |= (uint8_t)(1u << bit % 8);
        }
    }
}

uint64_t rollup_sector_at(const struct rollup_shape *shape, uint64_t key)
{
    assert(shape->sectors > 0);
    const struct map map = map_of(shape);
    return (1 + (uint64_t)spot_of(&map, key).sector) * ROLLUP_SECTOR;
}

/* ---- sealing ---- */

static void put_number(uint8_t *at, uint64_t number, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
}

static uint64_t sector_sum(const struct rollup_shape *shape, const uint8_t *sector)
{
    uint64_t seed = xxh3_64(bytes_of(shape->project.b, sizeof(shape->project.b)));
    return xxh3_64_seed(bytes_of(sector, CHECKSUM_AT), seed);
}

static void trailer_make(const struct rollup_shape *shape, uint32_t number, uint8_t out[24])
{
    memcpy(out, sector_magic, sizeof(sector_magic));
    put_number(out + 4, ROLLUP_VERSION, 2);
    out[6] = (uint8_t)shape->level;
    out[7] = (uint8_t)shape->columns;
    put_number(out + 8, shape->first, 8);
    put_number(out + 16, shape->sectors, 4);
    put_number(out + 20, number, 4);
}

/* XXH3-64 over the checksums that the sectors end with. */
static uint64_t sectors_sum(const struct rollup_shape *shape, const uint8_t *object)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shape->sectors; i++) {
        const uint8_t *sector = object + (1 + (size_t)i) * ROLLUP_SECTOR;
        sum = xxh3_64_seed(bytes_of(sector + CHECKSUM_AT, ROLLUP_SECTOR - CHECKSUM_AT), sum);
    }
    return sum;
}

void rollup_seal(const struct rollup *rollup, uint8_t *object)
{
    const struct rollup_shape *shape = &rollup->shape;
    assert(rollup_name_ok(shape->level, shape->first, rollup_end(shape)));
    for (uint32_t i = 0; i < shape->sectors; i++) {
        uint8_t *sector = object + (1 + (size_t)i) * ROLLUP_SECTOR;
        trailer_make(shape, i, sector + TRAILER_AT);
        put_number(sector + CHECKSUM_AT, sector_sum(shape, sector), 8);
    }
    AUTO_BUF header = {0};
    size_t at = envelope_begin(&header, ROLLUP_MAGIC, ROLLUP_VERSION);
    wr_u8(&header, (uint8_t)shape->level);
    wr_u8(&header, (uint8_t)shape->columns);
    wr_u16(&header, 0);
    wr_u32(&header, shape->sectors);
    wr_id16(&header, &shape->project);
    wr_u64(&header, shape->first);
    wr_u64(&header, rollup_end(shape));
    wr_u64(&header, rollup_span(shape->level));
    wr_u64(&header, seed_of(shape));
    wr_u64(&header, rollup->source);
    wr_u64(&header, sectors_sum(shape, object));
    for (unsigned i = 0; i < shape->columns; i++)
        wr_u32(&header, rollup->keys[i]);
    size_t zeros = ROLLUP_SECTOR - header.len;
    memset(buf_reserve(&header, zeros), 0, zeros);
    header.len += zeros;
    envelope_close(&header, at);
    memcpy(object, header.data, ROLLUP_SECTOR);
}

/* ---- reading ---- */

static int header_read(struct bytes header, struct rollup *out, uint64_t *sum)
{
    struct reader r;
    if (header.len != ROLLUP_SECTOR)
        return ERR_CORRUPT;
    int err = envelope_open(header, ROLLUP_MAGIC, ROLLUP_VERSION, &r);
    if (err != OK)
        return err;
    struct rollup rollup = {0};
    struct rollup_shape *shape = &rollup.shape;
    shape->level = rd_u8(&r);
    shape->columns = rd_u8(&r);
    uint16_t zero = rd_u16(&r);
    shape->sectors = rd_u32(&r);
    shape->project = rd_id16(&r);
    shape->first = rd_u64(&r);
    uint64_t end = rd_u64(&r);
    if (zero != 0 || !rollup_name_ok(shape->level, shape->first, end) ||
        end != rollup_end(shape) || rollup_len(shape) > ROLLUP_MAX)
        return ERR_CORRUPT;
    if (rd_u64(&r) != rollup_span(shape->level) || rd_u64(&r) != seed_of(shape))
        return ERR_CORRUPT;
    rollup.source = rd_u64(&r);
    *sum = rd_u64(&r);
    for (unsigned i = 0; i < shape->columns; i++)
        rollup.keys[i] = rd_u32(&r);
    while (rd_error(&r) == OK && rd_left(&r) > 0) {
        if (rd_u8(&r) != 0)
            rd_fail(&r, ERR_CORRUPT);
    }
    err = rd_end(&r);
    if (err == OK)
        *out = rollup;
    return err;
}

int rollup_decode(struct bytes header, struct rollup *out)
{
    uint64_t sum;
    return header_read(header, out, &sum);
}

static bool sector_ok(const struct rollup_shape *shape, uint32_t number, const uint8_t *sector)
{
    uint8_t trailer[CHECKSUM_AT - TRAILER_AT];
    uint8_t sum[8];
    trailer_make(shape, number, trailer);
    put_number(sum, sector_sum(shape, sector), sizeof(sum));
    return memcmp(sector + TRAILER_AT, trailer, sizeof(trailer)) == 0 &&
           memcmp(sector + CHECKSUM_AT, sum, sizeof(sum)) == 0;
}

int rollup_check(struct bytes object, struct rollup *out)
{
    struct rollup rollup;
    uint64_t sum;
    if (object.len < ROLLUP_SECTOR)
        return ERR_CORRUPT;
    int err = header_read(bytes_of(object.data, ROLLUP_SECTOR), &rollup, &sum);
    if (err != OK)
        return err;
    if (object.len != rollup_len(&rollup.shape) ||
        sectors_sum(&rollup.shape, object.data) != sum)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < rollup.shape.sectors; i++) {
        if (!sector_ok(&rollup.shape, i, object.data + (1 + (size_t)i) * ROLLUP_SECTOR))
            return ERR_CORRUPT;
    }
    *out = rollup;
    return OK;
}

/* The bits [bit, bit + n) of a sector, n <= 64. They end before the sector does. */
static uint64_t bits_at(const uint8_t *sector, unsigned bit, unsigned n)
{
    uint64_t bits = 0;
    unsigned shift = bit % 8;
    for (unsigned got = 0, at = bit / 8; got < n + shift; got += 8, at++) {
        if (got >= shift)
            bits |= (uint64_t)sector[at] << (got - shift);
        else
            bits |= (uint64_t)sector[at] >> shift;
    }
    return n == 64 ? bits : bits & (((uint64_t)1 << n) - 1);
}

int rollup_ask(const struct rollup_shape *shape, struct bytes sector, uint64_t key,
               struct rollup_hits *out)
{
    const struct map map = map_of(shape);
    struct spot spot = spot_of(&map, key);
    if (sector.len != ROLLUP_SECTOR || shape->sectors == 0 ||
        !sector_ok(shape, spot.sector, sector.data))
        return ERR_CORRUPT;
    unsigned low = shape->columns < 64 ? shape->columns : 64;
    struct rollup_hits hits = {{UINT64_MAX, shape->columns > 64 ? UINT64_MAX : 0}};
    for (unsigned word = 0; word < WORDS; word++) {
        unsigned bit = row_of(&spot, word) * shape->columns;
        hits.words[0] &= bits_at(sector.data, bit, low);
        if (shape->columns > 64)
            hits.words[1] &= bits_at(sector.data, bit + 64, shape->columns - 64);
    }
    *out = hits;
    return OK;
}

size_t rollup_lacks(const struct rollup_shape *shape, unsigned column, const uint64_t *keys,
                    size_t n, const uint8_t *object)
{
    assert(column < shape->columns && shape->sectors > 0);
    const struct map map = map_of(shape);
    const unsigned columns = shape->columns;
    for (size_t i = 0; i < n; i++) {
        struct spot spot = spot_of(&map, keys[i]);
        const uint8_t *sector = object + (1 + (size_t)spot.sector) * ROLLUP_SECTOR;
        for (unsigned word = 0; word < WORDS; word++) {
            unsigned bit = row_of(&spot, word) * columns + column;
            if ((sector[bit / 8] >> bit % 8 & 1) == 0)
                return i;
        }
    }
    return n;
}
