import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A usage message, read by Jackson's streaming parser: the fastest way there is without generated code. */
record Message(String uai, List<Report> reports) {

    record Report(String family, String grain, String start, int[] cells, long[] counts) {

        /** A counter or minutes of a day, which months and school years add up. */
        boolean isFolded() {
            return grain.equals("day") && (family.equals("web") || family.equals("software")
                    || family.startsWith("activities") || family.startsWith("observed"));
        }

        String month() {
            return start.substring(0, 7) + "-01";
        }

        String schoolYear() {
            int year = Integer.parseInt(start, 0, 4, 10);
            return (Integer.parseInt(start, 5, 7, 10) >= 9 ? year : year - 1) + "-09-01";
        }
    }

    private static final JsonFactory JSON = new JsonFactory();

    static Message read(byte[] value) {
        try (JsonParser parser = JSON.createParser(value)) {
            parser.nextToken();
            String uai = "";
            List<Report> reports = new ArrayList<>();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "uai" -> uai = parser.getText();
                    case "reports" -> {
                        while (parser.nextToken() == JsonToken.START_OBJECT) {
                            reports.add(report(parser));
                        }
                    }
                    default -> parser.skipChildren();
                }
            }
            return new Message(uai, reports);
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    private static Report report(JsonParser parser) throws IOException {
        String family = "";
        String grain = "";
        String start = "";
        long[] cells = {};
        long[] counts = {};
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String field = parser.currentName();
            parser.nextToken();
            switch (field) {
                case "family" -> family = parser.getText();
                case "grain" -> grain = parser.getText();
                case "start" -> start = parser.getText();
                case "cells" -> cells = numbers(parser);
                case "counts" -> counts = numbers(parser);
                default -> parser.skipChildren();
            }
        }
        return new Report(family, grain, start, Arrays.stream(cells).mapToInt(code -> (int) code).toArray(), counts);
    }

    private static long[] numbers(JsonParser parser) throws IOException {
        long[] found = new long[32];
        int size = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (size == found.length) {
                found = Arrays.copyOf(found, 2 * size);
            }
            found[size++] = parser.getLongValue();
        }
        return Arrays.copyOf(found, size);
    }
}
