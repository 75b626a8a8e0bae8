"""Places in the control tick's state array, and why the tick ended a drive.

Numbers only: the build writes them into the modules that import them, so that no name is looked up on the pen.
"""

# ---- measured
NOW_US = 0
CURRENT_MA = 1  # mean of 8 samples, 1.3 ms
CELL_MV = 2
EDGES = 3  # rising index edges since the start of the drive
EDGE_US = 4
QUARTER_US = 5  # last index period
HALF_US = 7  # last two
TURN_US = 6  # last four index periods: one revolution, one stroke; 0 = not known
AHEAD_US = 8  # what TURN_US will be with the next edge, if it goes on falling as with the last one
# ---- estimated
BIAS_MHZ = 9  # what the index edges add to the rate from back-EMF
EMF_SUM_MHZ = 10
EMF_COUNT = 11
RATE_MHZ = 12
REJECTED = 13  # implausible edges in a row
# ---- commanded
DRIVE = 16  # 1 = motor driven; set by the main loop, cleared by the tick
TARGET_MHZ = 17
SET_MHZ = 18  # TARGET_MHZ after the ramp
RAMP_MHZ = 19  # ramp step per tick
INTEGRAL_Q10 = 20
VOLTAGE_MV = 21  # mean voltage applied during the tick that ends now
ON_COUNTS = 22  # PWM counts of drive in a period
CUT_AGE_US = 23  # time since the last index edge when a hardware cut was seen
STOP_REASON = 24
CURRENT_LIMIT_MA = 25
# ---- watched
TICKS = 26
MAIN_AGE_MS = 27  # the main loop sets it to 0
COST_US = 28  # longest tick
JITTER_US = 29  # largest deviation of the tick's start from its 1 ms grid
WATCHED = 31  # 1 = the index window was told to watch: it has to be enabled from then on
SUPERVISED = 30  # 1 = all cut-off and index machines run
EDGE_RING = 32  # address of the edge times, of the DMA register with the next one's address
EDGE_WRITE = 33
EDGE_SLOT = 34
ADC_RING = 35
GRID_US = 36  # start of the last tick
HEARTBEAT_AT = 37  # where the heartbeat machine stood when a hardware cut was seen
DEPTH_SUM = 38  # sum of the last 8 codes of the depth sensor
DEPTH_LOW_SUM = 39  # window for it, kept by the depth axis
DEPTH_HIGH_SUM = 40
DEPTH_BAD_MS = 41  # ticks in a row with the sum outside its window
I2_SUM = 42  # (current in mA)^2 / 1024, summed over the ticks, wraps around
LINE_MASK = 43  # GPIO levels that must be low to drive: trigger released, cartridge lost, external power
LINE_MS = 44  # ticks in a row with one of them high
STOPPED_LINES = 45  # those that were, at a stop for STOP_LINE
SIZE = 48

# ---- why the tick ended a drive
STOP_NONE = 0
STOP_RELEASED = 1
STOP_HARDWARE_CUT = 2
STOP_OVERSPEED = 3
STOP_STALL = 4
STOP_MAIN_LATE = 5
STOP_UNSUPERVISED = 6
STOP_ASKED = 7  # the main loop wrote it into STOP_REASON
STOP_DEPTH = 8  # the measured depth left its window
STOP_LINE = 9  # cartridge lost or external power; STOPPED_LINES says which
