import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The best form we found: our own. Packed reports and sheets in two stores, merged by maximum and folded by difference; what many
 * messages say of one key between two commits reaches RocksDB and the changelog once, thanks to the record cache.
 */
final class Sheets implements Processor<String, byte[], Void, Void> {

    private KeyValueStore<String, byte[]> reports;
    private KeyValueStore<String, byte[]> sheets;

    static Topology topology(String topic) {
        Topology topology = new Topology();
        topology.addSource("reported", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), topic);
        topology.addProcessor("merge", Sheets::new, "reported");
        topology.addStateStore(store("reports"), "merge");
        topology.addStateStore(store("sheets"), "merge");
        return topology;
    }

    private static StoreBuilder<KeyValueStore<String, byte[]>> store(String name) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.ByteArray())
                .withCachingEnabled();
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        reports = context.getStateStore("reports");
        sheets = context.getStateStore("sheets");
    }

    @Override
    public void process(Record<String, byte[]> record) {
        Message message = Message.read(record.value());
        Progress.count(message);
        Map<String, Packed> gains = new HashMap<>();
        for (Message.Report report : message.reports()) {
            merge(message.uai(), report, gains);
        }
        gains.forEach((key, gained) -> sheets.put(key, Packed.of(sheets.get(key)).plus(gained).bytes()));
    }

    /** Merges a report into its last state; what it gained goes to the sheets that it reaches, once a message. */
    private void merge(String uai, Message.Report report, Map<String, Packed> gains) {
        String key = uai + '|' + report.family() + '|' + report.grain() + '|' + report.start();
        Packed known = Packed.of(reports.get(key));
        Packed gained = known.gainedBy(new Packed(report.cells(), report.counts()));
        if (gained.codes().length == 0) {
            return;
        }
        reports.put(key, known.plus(gained).bytes());
        if (!report.grain().equals("hour")) {
            gains.merge(uai + '|' + report.grain() + '|' + report.start(), gained, Packed::plus);
        }
        if (report.isFolded()) {
            gains.merge(uai + "|month|" + report.month(), gained, Packed::plus);
            gains.merge(uai + "|school_year|" + report.schoolYear(), gained, Packed::plus);
        }
    }
}
