import java.nio.ByteBuffer;
import java.util.Arrays;

/** Ascending cell codes and their counts: six bytes a cell, one row a report or a sheet, as our own packing has it. */
record Packed(int[] codes, long[] counts) {

    private static final int BYTES = 6;

    static Packed of(byte[] bytes) {
        int size = bytes == null ? 0 : bytes.length / BYTES;
        int[] codes = new int[size];
        long[] counts = new long[size];
        ByteBuffer buffer = bytes == null ? null : ByteBuffer.wrap(bytes);
        for (int i = 0; i < size; i++) {
            codes[i] = buffer.getShort() & 0xFFFF;
            counts[i] = buffer.getInt() & 0xFFFF_FFFFL;
        }
        return new Packed(codes, counts);
    }

    byte[] bytes() {
        ByteBuffer buffer = ByteBuffer.allocate(BYTES * codes.length);
        for (int i = 0; i < codes.length; i++) {
            buffer.putShort((short) codes[i]).putInt((int) counts[i]);
        }
        return buffer.array();
    }

    /** By how much `other` exceeds this, cell by cell; empty where it does nowhere. */
    Packed gainedBy(Packed other) {
        int[] gainedCodes = new int[other.codes.length];
        long[] gained = new long[other.codes.length];
        int size = 0;
        int here = 0;
        for (int i = 0; i < other.codes.length; i++) {
            while (here < codes.length && codes[here] < other.codes[i]) {
                here++;
            }
            long known = here < codes.length && codes[here] == other.codes[i] ? counts[here] : 0;
            if (other.counts[i] > known) {
                gainedCodes[size] = other.codes[i];
                gained[size++] = other.counts[i] - known;
            }
        }
        return new Packed(Arrays.copyOf(gainedCodes, size), Arrays.copyOf(gained, size));
    }

    /** The sum, cell by cell, in order of code. */
    Packed plus(Packed other) {
        int[] summedCodes = new int[codes.length + other.codes.length];
        long[] summed = new long[summedCodes.length];
        int size = 0;
        for (int i = 0, j = 0; i < codes.length || j < other.codes.length; size++) {
            int mine = i < codes.length ? codes[i] : Integer.MAX_VALUE;
            int theirs = j < other.codes.length ? other.codes[j] : Integer.MAX_VALUE;
            summedCodes[size] = Math.min(mine, theirs);
            summed[size] = (mine <= theirs ? counts[i++] : 0) + (theirs <= mine ? other.counts[j++] : 0);
        }
        return new Packed(Arrays.copyOf(summedCodes, size), Arrays.copyOf(summed, size));
    }
}
