"""Ed25519 signatures (RFC 8032): verification alone, in plain integers, with the SHA-512 that MicroPython lacks.

    sound = yield from verify(public_key, message, signature)

A generator, since it takes its time: each step lasts some 15 ms on the pen. Nothing in it is secret, so it need not
take the same time for everything. Imported for a signature, forgotten after it.
"""

from binascii import unhexlify

_P = (1 << 255) - 19
_L = (1 << 252) + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_I = 19681161376707505956807079304988542015446066515923890162744021073123829784752  # square root of -1
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_WINDOW = 4
_MASK = (1 << 64) - 1
_BEGIN = unhexlify(
    b"6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d19b05688c2b3e6c1f"
    b"1f83d9abfb41bd6b5be0cd19137e2179"
)
_ROUNDS = unhexlify(
    b"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b53859f111f1b605d019"
    b"923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2"
    b"72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e3"
    b"0fc19dc68b8cd5b5240ca1cc77ac9c652de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5"
    b"983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
    b"06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df"
    b"650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353ba2bfe8a14cf10364a81a664bbc423001"
    b"c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8"
    b"19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb"
    b"5b9cca4f7763e373682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
    b"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619cd186b8c721c0c207"
    b"eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b"
    b"28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a"
    b"5fcb6fab3ad6faec6c44198c4a475817"
)


def sha512(message):
    """SHA-512 (FIPS 180-4) of some bytes."""
    bits = len(message) * 8
    message += b"\x80" + bytes(-(len(message) + 17) % 128) + bytes(8) + bits.to_bytes(8, "big")
    state = _words(_BEGIN)
    constants = _words(_ROUNDS)
    for at in range(0, len(message), 128):
        _block(state, constants, _words(message[at : at + 128]))
    return b"".join([word.to_bytes(8, "big") for word in state])


def _words(data):
    return [int.from_bytes(data[k : k + 8], "big") for k in range(0, len(data), 8)]


def _block(state, constants, w):
    """Mix one block of 16 words into the state. A word twice in a row makes a rotation one shift."""
    for k in range(16, 80):
        x = w[k - 15]
        y = w[k - 2]
        x2 = x << 64 | x
        y2 = y << 64 | y
        w.append(
            (
                w[k - 16]
                + w[k - 7]
                + ((x2 >> 1 ^ x2 >> 8 ^ x >> 7) & _MASK)
                + ((y2 >> 19 ^ y2 >> 61 ^ y >> 6) & _MASK)
            )
            & _MASK
        )
    a, b, c, d, e, f, g, h = state
    for k in range(80):
        e2 = e << 64 | e
        a2 = a << 64 | a
        one = h + ((e2 >> 14 ^ e2 >> 18 ^ e2 >> 41) & _MASK) + (g ^ (e & (f ^ g))) + constants[k] + w[k]
        two = ((a2 >> 28 ^ a2 >> 34 ^ a2 >> 39) & _MASK) + (a & b | c & (a | b))
        h, g, f, e, d, c, b, a = g, f, e, (d + one) & _MASK, c, b, a, (one + two) & _MASK
    for k, word in enumerate((a, b, c, d, e, f, g, h)):
        state[k] = (state[k] + word) & _MASK


def _add(one, two):
    """Sum of two points in extended coordinates (X, Y, Z, T); also doubles."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 % _P * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point):
    x, y, z, _ = point
    a = x * x % _P
    b = y * y % _P
    c = 2 * z * z % _P
    h = a + b
    x += y
    e = h - x * x % _P
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _point(data):
    """The point that 32 bytes stand for, negated; None if they stand for none."""
    y = int.from_bytes(data, "little")
    odd = y >> 255
    y &= (1 << 255) - 1
    if y >= _P:
        return None
    u = (y * y - 1) % _P
    v = (_D * y * y + 1) % _P
    v3 = v * v * v % _P
    x = u * v3 * pow(u * v3 * v3 * v % _P, (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _I % _P
        if (v * x * x - u) % _P:
            return None
    if x == 0 and odd:
        return None
    if x & 1 == odd:
        x = _P - x
    return x, y, 1, x * y % _P


def _table(point):
    """Generator: its value is the multiples 0 to 15 of a point."""
    table = [(0, 1, 1, 0), point]
    while len(table) < 1 << _WINDOW:
        table.append(_add(table[-1], point))
        if len(table) % 8 == 0:
            yield
    return table


def verify(public_key, message, signature):
    """Generator: its value is whether `signature` (64 bytes) of `message` was made with that key (32)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    minus_a = _point(public_key)
    if s >= _L or minus_a is None:
        return False
    yield
    h = int.from_bytes(sha512(signature[:32] + public_key + message), "little") % _L
    yield
    of_key = yield from _table(minus_a)
    of_base = yield from _table((_BASE[0], _BASE[1], 1, _BASE[0] * _BASE[1] % _P))
    sum_ = of_key[0]  # of s times the base point and h times the negated key: it has to be R
    for at in range(252, -1, -_WINDOW):
        for _ in range(_WINDOW):
            sum_ = _double(sum_)
        digit = h >> at & 15
        if digit:
            sum_ = _add(sum_, of_key[digit])
        digit = s >> at & 15
        if digit:
            sum_ = _add(sum_, of_base[digit])
        yield
    x, y, z, _ = sum_
    inverse = pow(z, _P - 2, _P)
    x = x * inverse % _P
    y = y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]
