// What there is to choose from: models, and how much each may think.

import { chooseHere, EFFORTS, models, nameOf, options } from "./options";

export function Models() {
  const { model, effort } = options.value;
  const known = models.value.length ? models.value : null;
  const isNamed = !known || known.some((one) => one.value === model) || model === "";
  const efforts = known?.find((one) => one.value === model)?.efforts ?? [];
  return (
    <>
      <fieldset>
        <legend>Model in this conversation</legend>
        {!known && <p role="status">Asking Claude what there is …</p>}
        {known && !known.some((one) => one.value === "") && (
          <OneModel value="" name="Claude’s choice" description="What your plan gives by itself." />
        )}
        {known?.map((one) => (
          <OneModel key={one.value} {...one} />
        ))}
        {!isNamed && <OneModel value={model} name={nameOf(model)} description="" />}
      </fieldset>
      {efforts.length > 0 && (
        <fieldset>
          <legend>How hard it thinks</legend>
          <div class="efforts">
            {["", ...efforts].map((one) => (
              <label key={one} class={one === effort ? "picked" : ""}>
                <input
                  type="radio"
                  name="effort"
                  checked={one === effort}
                  onChange={() => void chooseHere({ effort: one })}
                />
                {EFFORTS[one] ?? one}
              </label>
            ))}
          </div>
        </fieldset>
      )}
    </>
  );
}

function OneModel({ value, name, description }: { value: string; name: string; description: string }) {
  return (
    <label class="option">
      <input
        type="radio"
        name="model"
        checked={options.value.model === value}
        onChange={() => void chooseHere({ model: value })}
      />
      <span>
        <strong>{value === "" ? "Claude’s choice" : name}</strong>
        {description && <small>{description}</small>}
      </span>
    </label>
  );
}
