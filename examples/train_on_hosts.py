"""Train one model on several hosts with JAX; the same command is started on each.

    export KERAS_BACKEND=jax
    export KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:1234,10.0.0.2:1234
    export KERAS_DISTRIBUTION_NUM_PROCESSES=2
    export KERAS_DISTRIBUTION_PROCESS_ID=0    # 1 on the other one
    python examples/train_on_hosts.py STORE model.keras

Every host reads its own part of each batch from its own copy of STORE, or from one on a
shared disk. The first host saves the model.
"""

import argparse

import keras

from keras_ddr import DDR
from keras_ddr.data import FrameSets


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("model", help="file to save to, ending in .keras")
    parser.add_argument("--config", default="small")
    parser.add_argument("--batch-size", type=int, default=40, help="of all hosts")
    parser.add_argument("--steps", type=int, default=500, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()

    # Before JAX is used for anything else.
    keras.distribution.initialize()
    import jax

    host, hosts = jax.process_index(), jax.process_count()
    keras.utils.set_random_seed(0)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    sets = FrameSets(
        arguments.store,
        batch_size=arguments.batch_size,
        steps=arguments.steps,
        shard=(host, hosts),
    )
    model = DDR.from_preset(arguments.config, image_shape=sets.store.frame_shape)
    model.compile(keras.optimizers.Adam(1e-3))
    history = model.fit(sets, epochs=arguments.epochs, verbose=0).history
    weights = model.get_weights()

    # One host saves, on its own device.
    keras.distribution.set_distribution(None)
    if host == 0:
        for epoch, loss in enumerate(history["loss"], start=1):
            print(f"epoch {epoch}: loss {loss:.3f}")
        alone = DDR.from_config(model.get_config())
        alone.set_weights(weights)
        alone.save(arguments.model)
        print(f"saved {arguments.model}")
    jax.distributed.shutdown()


if __name__ == "__main__":
    main()
